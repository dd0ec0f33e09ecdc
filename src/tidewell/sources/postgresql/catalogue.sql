-- What a PostgreSQL source is asked.

-- name: set
-- A setting of this session.
SELECT set_config(%(name)s, %(value)s, false);

-- name: begin
-- Everything that is read afterwards comes from one moment.
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: export_snapshot
-- The moment, for a second connection.
SELECT pg_export_snapshot();

-- name: import_snapshot
-- The moment of the first connection.
SET TRANSACTION SNAPSHOT {snapshot};

-- name: schemas
-- Schemas with something to read.
SELECT n.nspname
  FROM pg_namespace n
 WHERE n.nspname NOT LIKE 'pg\_%%' AND n.nspname <> 'information_schema'
   AND has_schema_privilege(n.oid, 'USAGE')
 ORDER BY n.nspname <> 'public', n.nspname;

-- name: tables
-- Tables and views of a schema; the parts of a partitioned table stand in it.
SELECT c.relname,
       CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
       coalesce(obj_description(c.oid, 'pg_class'), '')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
   AND NOT c.relispartition
   AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
 ORDER BY c.relname;

-- name: columns
-- The columns of a table that may be read, with the type below any domain. A primary key of which
-- one part may not be read is none: the rest of it is the same for many rows.
WITH RECURSIVE wanted AS (
    SELECT c.oid, c.relkind
      FROM pg_class c
      JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = %(schema)s AND c.relname = %(table)s
       AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
), typed AS (
    SELECT a.attnum, a.atttypid AS type, a.atttypmod AS modifier
      FROM wanted w
      JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT d.attnum, t.typbasetype,
           CASE WHEN d.modifier = -1 THEN t.typtypmod ELSE d.modifier END
      FROM typed d
      JOIN pg_type t ON t.oid = d.type AND t.typtype = 'd'
)
SELECT a.attname,
       t.typname,
       t.typtype = 'b' AND tn.nspname = 'pg_catalog' AS is_builtin,
       CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'c' THEN 'composite' ELSE t.typcategory::text END,
       d.modifier,
       a.attnotnull,
       k.position,
       i.indrelid IS NOT NULL AS is_indexed,
       coalesce(col_description(w.oid, a.attnum), '')
  FROM wanted w
  JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN typed d ON d.attnum = a.attnum
  JOIN pg_type t ON t.oid = d.type AND t.typtype <> 'd'
  JOIN pg_namespace tn ON tn.oid = t.typnamespace
  LEFT JOIN LATERAL (
       SELECT p.position - 1 AS position
         FROM pg_index i
        CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS p (attnum, position)
        WHERE i.indrelid = w.oid AND i.indisprimary AND p.attnum = a.attnum
          AND p.position <= i.indnkeyatts
          AND (SELECT bool_and(has_column_privilege(w.oid, q.attnum, 'SELECT'))
                 FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS q (attnum, position)
                WHERE q.position <= i.indnkeyatts)
       ) k ON true
  LEFT JOIN LATERAL (
       SELECT i.indrelid
         FROM pg_index i
        WHERE i.indrelid = w.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum
        LIMIT 1
       ) i ON true
 WHERE has_column_privilege(w.oid, a.attnum, 'SELECT')
 ORDER BY a.attnum;

-- name: rows
-- The rows of a request.
COPY (SELECT {values} FROM {table} WHERE {conditions}{order}{limit}) TO STDOUT (FORMAT binary);

-- name: add_rows
-- New rows, as text that the server reads as the columns' own types; an empty field is NULL.
COPY {table} ({columns}) FROM STDIN (FORMAT csv);
