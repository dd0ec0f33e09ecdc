-- What Snowflake's INFORMATION_SCHEMA says of the tables that DuckDB holds.

-- name: make
-- The database, its usual schema, and the views.
ATTACH ':memory:' AS "SHOP";
CREATE SCHEMA "SHOP"."PUBLIC";
CREATE SCHEMA "SHOP"."OTHER";
CREATE SCHEMA "SHOP"."described";
USE "SHOP"."PUBLIC";
CREATE VIEW described.schemata AS
SELECT schema_name
  FROM duckdb_schemas()
 WHERE database_name = 'SHOP' AND schema_name IN ('PUBLIC', 'OTHER')
 UNION ALL SELECT 'INFORMATION_SCHEMA';
CREATE VIEW described.tables AS
SELECT schema_name AS table_schema, table_name, 'BASE TABLE' AS table_type, comment
  FROM duckdb_tables() WHERE database_name = 'SHOP'
 UNION ALL
SELECT schema_name, view_name, 'VIEW', comment
  FROM duckdb_views() WHERE database_name = 'SHOP' AND NOT internal;
CREATE VIEW described.columns AS
SELECT schema_name AS table_schema, table_name, column_name, column_index AS ordinal_position,
       CASE WHEN data_type LIKE '%[]' THEN 'ARRAY'
            WHEN data_type LIKE 'DECIMAL%' THEN 'NUMBER'
            ELSE CASE data_type
                      WHEN 'DOUBLE' THEN 'FLOAT'
                      WHEN 'VARCHAR' THEN 'TEXT'
                      WHEN 'BLOB' THEN 'BINARY'
                      WHEN 'JSON' THEN 'VARIANT'
                      WHEN 'TIMESTAMP' THEN 'TIMESTAMP_NTZ'
                      WHEN 'TIMESTAMP_NS' THEN 'TIMESTAMP_NTZ'
                      WHEN 'TIMESTAMP WITH TIME ZONE' THEN 'TIMESTAMP_TZ'
                      ELSE data_type
                 END
       END AS data_type,
       CASE WHEN data_type = 'VARCHAR' THEN 16777216 END AS character_maximum_length,
       CASE WHEN data_type LIKE 'DECIMAL%' THEN numeric_precision END AS numeric_precision,
       CASE WHEN data_type LIKE 'DECIMAL%' THEN numeric_scale END AS numeric_scale,
       CASE WHEN data_type = 'TIMESTAMP_NS' THEN 9
            WHEN data_type LIKE 'TIME%' THEN 6
       END AS datetime_precision,
       CASE WHEN is_nullable THEN 'YES' ELSE 'NO' END AS is_nullable,
       NULL AS collation_name, comment
  FROM duckdb_columns() WHERE database_name = 'SHOP';
