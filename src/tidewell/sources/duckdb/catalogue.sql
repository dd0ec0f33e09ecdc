-- What a DuckDB file is asked.

-- name: zone
-- Times without a zone are never taken for this machine's.
SET TimeZone = 'UTC';

-- name: read_ahead
-- As little as there is: what is read ahead is counted without the texts in it.
SET streaming_buffer_size = '1KB';

-- name: schemas
-- The schemas of the file.
SELECT schema_name
  FROM duckdb_schemas()
 WHERE database_name = current_database() AND (NOT internal OR schema_name = 'main')
 ORDER BY schema_name <> 'main', schema_name;

-- name: tables
-- Tables and views of a schema.
SELECT table_name, 'table', coalesce(comment, '')
  FROM duckdb_tables()
 WHERE database_name = current_database() AND schema_name = ? AND NOT internal
UNION ALL
SELECT view_name, 'view', coalesce(comment, '')
  FROM duckdb_views()
 WHERE database_name = current_database() AND schema_name = ? AND NOT internal
 ORDER BY 1;

-- name: columns
-- The columns of a table, and the positions of the key's among them.
SELECT c.column_name, c.data_type, c.is_nullable, list_position(k.columns, c.column_name) - 1,
       coalesce(c.comment, '')
  FROM duckdb_columns() c
  LEFT JOIN (SELECT constraint_column_names AS columns
               FROM duckdb_constraints()
              WHERE database_name = current_database() AND schema_name = ? AND table_name = ?
                AND constraint_type = 'PRIMARY KEY') k ON true
 WHERE c.database_name = current_database() AND c.schema_name = ? AND c.table_name = ?
 ORDER BY c.column_index;
