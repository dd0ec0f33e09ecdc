-- Making and changing cached tables. Identifiers and lists are put in by psycopg.sql.

-- name: schema_exists
-- Whether a schema is there. From the catalogue itself: to_regnamespace would remember a "no" of
-- before a wait for somebody who made it.
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s);

-- name: make_schema
-- The schema of a connection.
CREATE SCHEMA {schema};

-- name: relation_kind
-- What stands at a place: r a table, p a partitioned one, v a view; no row: nothing.
SELECT class.relkind::text
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: shape
-- The columns of a table with their declared types, in order, but those that it makes itself; and
-- the columns of each unique index that ON CONFLICT can use.
SELECT (SELECT json_agg(json_build_array(attname, format_type(atttypid, atttypmod))
                        ORDER BY attnum)
          FROM pg_attribute
         WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped
           AND attgenerated = '' AND attidentity <> 'a'),
       (SELECT json_agg(keys.names)
          FROM (SELECT json_agg(attribute.attname) AS names
                  FROM pg_index AS index
                  JOIN pg_attribute AS attribute
                    ON attribute.attrelid = class.oid AND attribute.attnum = ANY (index.indkey)
                 WHERE index.indrelid = class.oid
                   AND index.indisunique AND index.indisvalid AND index.indimmediate
                   AND index.indpred IS NULL AND index.indexprs IS NULL
                   AND index.indnkeyatts = index.indnatts
                 GROUP BY index.indexrelid
                 ORDER BY index.indexrelid) AS keys)
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: make_table
-- A cached table, before its first load.
CREATE TABLE {table} ({definitions});

-- name: lock_table
-- For oneself, until the end of the transaction.
LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;

-- name: make_staging
-- Beside the cached table, seen by this session only, gone with it.
CREATE TEMPORARY TABLE {staging} ({definitions}) ON COMMIT DROP;

-- name: make_keys
-- The keys that the source still has, to find out which rows it no longer has.
CREATE TEMPORARY TABLE {keys} ({definitions}) ON COMMIT DROP;

-- name: copy
-- Rows into the staging table.
COPY {table} ({columns}) FROM STDIN WITH (FORMAT binary);

-- name: copy_frozen
-- Into a table of this same transaction: its rows need no later freezing.
COPY {table} ({columns}) FROM STDIN WITH (FORMAT binary, FREEZE);

-- name: sample
-- Statistics of 3,000 rows, a tenth of the usual sample: enough to plan this load and the first
-- queries after it, at a tenth of the time. The usual ones follow after the commit (`analyze`).
SET LOCAL default_statistics_target = 10;
ANALYZE {table};
SET LOCAL default_statistics_target TO DEFAULT;

-- name: statistics
-- Those that the server's own settings ask for, at once: of a table so small that a small sample
-- would be all of it.
ANALYZE {table};

-- name: analyze
-- The statistics that the server's own settings ask for. Whoever has locked the table goes first.
SET LOCAL lock_timeout = '1s';
SET LOCAL statement_timeout = '60s';
ANALYZE {table};

-- name: count
-- The rows that stand in a table.
SELECT count(*) FROM {table};

-- name: add_key
-- The key by which later rows are merged.
ALTER TABLE {table} ADD PRIMARY KEY ({key});

-- name: add_unique
-- For a table that got its key later: a primary key of its owner may stand already.
CREATE UNIQUE INDEX ON {table} ({key});

-- name: primary_key
-- The primary key of a table and its columns.
SELECT constraint_row.conname, array_agg(attribute.attname ORDER BY attribute.attname)
  FROM pg_constraint AS constraint_row
  JOIN pg_attribute AS attribute
    ON attribute.attrelid = constraint_row.conrelid
   AND attribute.attnum = ANY (constraint_row.conkey)
  JOIN pg_class AS class ON class.oid = constraint_row.conrelid
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s
   AND constraint_row.contype = 'p'
 GROUP BY constraint_row.conname;

-- name: drop_constraint
-- A key that the source no longer has.
ALTER TABLE {table} DROP CONSTRAINT {constraint};

-- name: drop_not_null
-- What was part of a key may be missing from now on.
ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL;

-- name: add_column
-- A column that is new in the source.
ALTER TABLE {table} ADD COLUMN {column} {type};

-- name: change_type
-- A type that holds what the source has now and what is cached.
ALTER TABLE {table} ALTER COLUMN {column} TYPE {type} USING {column}::{type};

-- name: retype_empty
-- A type that the column's old values do not have: they are gone, the load brings new ones.
ALTER TABLE {table} ALTER COLUMN {column} TYPE {type} USING NULL::{type};

-- name: has_values
-- Whether anything stands in a column.
SELECT EXISTS (SELECT FROM {table} WHERE {column} IS NOT NULL);

-- name: leading_index
-- Whether an index begins with a column.
SELECT EXISTS (
    SELECT
      FROM pg_index AS index
      JOIN pg_class AS class ON class.oid = index.indrelid
      JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
      JOIN pg_attribute AS attribute
        ON attribute.attrelid = class.oid AND attribute.attnum = index.indkey[0]
     WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s
       AND attribute.attname = %(column)s AND index.indpred IS NULL);

-- name: add_index
-- People ask for the newest rows first.
CREATE INDEX ON {table} ({column});

-- name: estimated_rows
-- The rows of a table as its statistics tell; -1 before the first.
SELECT class.reltuples
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: table_comment
-- The comment on a table.
SELECT obj_description(class.oid, 'pg_class')
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: comment_table
-- Where a cached table comes from.
COMMENT ON TABLE {table} IS {text};

-- name: comment_column
-- What the source says of a column.
COMMENT ON COLUMN {table}.{column} IS {text};

-- name: drop_table
-- With the views that stand on it: its job was deleted.
DROP TABLE IF EXISTS {table} CASCADE;

-- name: drop_schema
-- Fails while something else stands in it.
DROP SCHEMA IF EXISTS {schema};
