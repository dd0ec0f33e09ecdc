-- name: version
-- across accounts: this is the schema's own.
-- The newest migration that has run.
SELECT version_num FROM schema_version;

-- name: lock
-- across accounts: as above.
-- One upgrade at a time; released with the session.
SELECT pg_advisory_lock(:key);
