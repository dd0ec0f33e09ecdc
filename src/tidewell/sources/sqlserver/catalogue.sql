-- What a SQL Server database is asked. `?` stands for a parameter.

-- name: snapshot_state
-- Whether readings can be of one moment: 1 where the database allows snapshots.
SELECT snapshot_isolation_state FROM sys.databases WHERE name = DB_NAME();

-- name: snapshot
-- Everything that is read afterwards comes from one moment.
SET TRANSACTION ISOLATION LEVEL SNAPSHOT;

-- name: lock_timeout
-- How long a lock is waited for, in milliseconds.
SET LOCK_TIMEOUT {milliseconds};

-- name: schemas
-- Schemas with something to read.
SELECT s.name
  FROM sys.schemas s
 WHERE EXISTS (SELECT 1 FROM sys.objects o WHERE o.schema_id = s.schema_id AND o.type IN ('U', 'V'))
 ORDER BY CASE WHEN s.name = SCHEMA_NAME() THEN 0 ELSE 1 END, s.name;

-- name: tables
-- Tables and views of a schema.
SELECT o.name, CASE WHEN o.type = 'V' THEN 'view' ELSE 'table' END,
       CAST(p.value AS nvarchar(4000))
  FROM sys.objects o
  LEFT JOIN sys.extended_properties p
    ON p.class = 1 AND p.major_id = o.object_id AND p.minor_id = 0 AND p.name = 'MS_Description'
 WHERE o.schema_id = SCHEMA_ID(?) AND o.type IN ('U', 'V') AND o.is_ms_shipped = 0
 ORDER BY o.name;

-- name: settled
-- The greatest version of a row that no transaction under way has given or can still give.
SELECT CAST(MIN_ACTIVE_ROWVERSION() AS bigint) - 1;

-- name: columns
-- The columns of a table, with the type below any alias.
SELECT c.name, b.name, c.max_length, c.precision, c.scale, c.is_nullable,
       k.key_ordinal - 1, CASE WHEN i.object_id IS NULL THEN 0 ELSE 1 END,
       CAST(p.value AS nvarchar(4000))
  FROM sys.columns c
  JOIN sys.objects o ON o.object_id = c.object_id
  LEFT JOIN sys.types b
    ON b.user_type_id = CASE WHEN c.user_type_id > 256 AND c.system_type_id <> 240
                             THEN c.system_type_id ELSE c.user_type_id END
  LEFT JOIN sys.indexes x ON x.object_id = c.object_id AND x.is_primary_key = 1
  LEFT JOIN sys.index_columns k
    ON k.object_id = c.object_id AND k.index_id = x.index_id AND k.column_id = c.column_id
   AND k.key_ordinal > 0
  OUTER APPLY (SELECT TOP (1) f.object_id
                 FROM sys.index_columns f
                WHERE f.object_id = c.object_id AND f.column_id = c.column_id
                  AND f.key_ordinal = 1) i
  LEFT JOIN sys.extended_properties p
    ON p.class = 1 AND p.major_id = c.object_id AND p.minor_id = c.column_id
   AND p.name = 'MS_Description'
 WHERE o.schema_id = SCHEMA_ID(?) AND o.name = ? AND o.type IN ('U', 'V')
 ORDER BY c.column_id;
