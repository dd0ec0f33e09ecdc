-- What a Snowflake database is asked. `?` stands for a text.

-- name: schemas
-- Schemas of the database, the usual one first.
SELECT schema_name
  FROM information_schema.schemata
 WHERE schema_name <> 'INFORMATION_SCHEMA'
 ORDER BY CASE WHEN schema_name = 'PUBLIC' THEN 0 ELSE 1 END, schema_name;

-- name: tables
-- Tables and views of a schema.
SELECT table_name, CASE WHEN table_type LIKE '%VIEW' THEN 'view' ELSE 'table' END, comment
  FROM information_schema.tables
 WHERE table_schema = ?
 ORDER BY table_name;

-- name: columns
-- The columns of a table.
SELECT column_name, data_type, character_maximum_length, numeric_precision,
       coalesce(numeric_scale, datetime_precision), is_nullable, collation_name, comment
  FROM information_schema.columns
 WHERE table_schema = ? AND table_name = ?
 ORDER BY ordinal_position;

-- name: key
-- The parts of a table's primary key.
SHOW PRIMARY KEYS IN TABLE {schema}.{table};
