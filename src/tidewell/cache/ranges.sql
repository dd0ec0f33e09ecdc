-- A table that several processes load, in the schema `tidewell`, until it moves into its place. Its
-- name says whose it is: `load_<job>_<attempt>`.

-- name: may_hide
-- Whether tables may be made there: somebody else may have made the schema.
SELECT has_schema_privilege('tidewell', 'CREATE');

-- name: left
-- What loads of a job have left: the names between `load_<job>_0` and `load_<job>_9...`.
SELECT class.relname
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = 'tidewell' AND class.relkind = 'r'
   AND class.relname > %(prefix)s::name AND class.relname < (%(prefix)s || ':')::name;

-- name: drop_hidden
-- A load that was not finished.
DROP TABLE IF EXISTS {table};

-- name: drop_with_all
-- The same when its job is deleted: with what came to stand on it.
DROP TABLE IF EXISTS {table} CASCADE;

-- name: wait_shortly
-- A session that dies holds a table for a moment.
SET LOCAL lock_timeout = '2s';

-- name: drop_measure
-- The empty table that has shown which grants a table gets here.
DROP TABLE {table};

-- name: change_schema
-- Into its place ...
ALTER TABLE {table} SET SCHEMA {schema};

-- name: rename
-- ... under its name.
ALTER TABLE {table} RENAME TO {name};

-- name: retype
-- What was staged as text, as what it is.
ALTER TABLE {table} {changes};

-- name: retype_column
-- One of them.
ALTER COLUMN {column} TYPE {type} USING {column}::{type}
