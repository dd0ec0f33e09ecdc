-- What the Query API asks of a customer's cache. Place names come in as parameters.

-- name: columns
-- The columns that a caching job has loaded, in its order, as PostgreSQL declares them.
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       array_position(k.indkey::int2[], a.attnum)
  FROM pg_attribute AS a
  LEFT JOIN pg_index AS k ON k.indrelid = a.attrelid AND k.indisprimary
 WHERE a.attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
   AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum;

-- name: loaded
-- Which of them the job's own bookkeeping names; NULL where it says nothing.
SELECT columns
  FROM tidewell.cached_table
 WHERE cache_schema = %(schema)s AND cache_table = %(table)s;

-- name: read_only
-- The transaction of a query: it sees one moment and changes nothing.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: bound
-- How long one statement may take, in milliseconds.
SELECT set_config('statement_timeout', %(milliseconds)s, true);

-- name: explain
-- The plan of a statement, which is not executed.
EXPLAIN {statement};

-- name: read
-- Rows of a cached table for a query that joins them elsewhere.
SELECT {columns} FROM {table} WHERE {conditions} LIMIT {limit};
