-- What the Query API asks of a customer's cache. Place names come in as parameters.

-- name: columns
-- The columns of cached tables, as PostgreSQL declares them: of which table (counted from 1), the
-- place in the order in which its job loads them (NULL: the job does not), and what the comment
-- says that the source calls the column.
SELECT place.number, array_position(kept.columns, a.attname::text), a.attname,
       format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       array_position(k.indkey::int2[], a.attnum),
       substring(col_description(a.attrelid, a.attnum) FROM ', column (.*); job [0-9a-f-]{36}\]$')
  FROM unnest(%(schemas)s::text[], %(tables)s::text[])
       WITH ORDINALITY AS place (cache_schema, cache_table, number)
  JOIN pg_class AS class ON class.relname = place.cache_table
  JOIN pg_namespace AS namespace
    ON namespace.oid = class.relnamespace AND namespace.nspname = place.cache_schema
  JOIN pg_attribute AS a
    ON a.attrelid = class.oid AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_index AS k ON k.indrelid = a.attrelid AND k.indisprimary
  LEFT JOIN tidewell.cached_table AS kept
    ON kept.cache_schema = place.cache_schema AND kept.cache_table = place.cache_table
 ORDER BY place.number, array_position(kept.columns, a.attname::text), a.attnum;

-- name: versions
-- What is another whenever the columns of a cached table are others to `columns`: its number, which
-- table it is, what its job loads, and which transactions wrote its columns, their comments and its
-- key.
SELECT place.number, class.oid::bigint, kept.columns,
       ARRAY (SELECT a.xmin::text FROM pg_attribute AS a
               WHERE a.attrelid = class.oid AND a.attnum > 0 ORDER BY a.attnum),
       ARRAY (SELECT d.xmin::text FROM pg_description AS d
               WHERE d.objoid = class.oid AND d.classoid = 'pg_class'::regclass
               ORDER BY d.objsubid),
       ARRAY (SELECT k.xmin::text FROM pg_index AS k
               WHERE k.indrelid = class.oid AND k.indisprimary)
  FROM unnest(%(schemas)s::text[], %(tables)s::text[])
       WITH ORDINALITY AS place (cache_schema, cache_table, number)
  JOIN pg_class AS class ON class.relname = place.cache_table
  JOIN pg_namespace AS namespace
    ON namespace.oid = class.relnamespace AND namespace.nspname = place.cache_schema
  LEFT JOIN tidewell.cached_table AS kept
    ON kept.cache_schema = place.cache_schema AND kept.cache_table = place.cache_table;

-- name: begin
-- The transaction of a query, which sees one moment and changes nothing, and how long one statement
-- in it may take. Memory is the server's own to set: what suits loads misleads the planner of queries.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SET LOCAL work_mem TO DEFAULT;
SET LOCAL statement_timeout = {milliseconds};

-- name: described
-- The columns of a statement, and none of its rows.
SELECT * FROM ({statement}) AS described LIMIT 0;

-- name: explain
-- The plan of a statement, which is not executed.
EXPLAIN {statement};

-- name: read
-- Rows of a cached table for a query that joins them elsewhere.
SELECT {columns} FROM {table} WHERE {conditions} LIMIT {limit};

-- name: copied
-- The same, as a stream of binary rows.
COPY (SELECT {columns} FROM {table} WHERE {conditions} LIMIT {limit}) TO STDOUT (FORMAT binary);

-- name: without_nan
-- An exact number: what is none is NULL.
NULLIF({column}, 'NaN');
