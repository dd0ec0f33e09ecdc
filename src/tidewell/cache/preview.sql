-- name: bound
-- A look at a table must not keep anybody waiting.
SELECT set_config('statement_timeout', %(milliseconds)s, false);

-- name: first_rows
-- The first rows of a cached table, each value as text, cut where it is endless.
SELECT {columns} FROM {table} LIMIT %(limit)s;

-- name: estimated_rows
-- How many rows PostgreSQL believes the table has; -1: it has not looked yet.
SELECT reltuples::bigint FROM pg_class WHERE oid = %(table)s::regclass;

-- name: column_names
-- The table's columns in their order; no row: there is no such table, or it may not be read.
SELECT attname
  FROM pg_attribute
 WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped
 ORDER BY attnum;
