-- name: version
-- across accounts: this is the schema's own.
-- The newest migration that has run.
SELECT version_num FROM schema_version;
