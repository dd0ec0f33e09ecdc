-- What a MySQL or MariaDB source is asked. Its sessions quote names as the SQL standard does
-- (ANSI_QUOTES) and know no backslash in texts; `%%` is a percent sign.

-- name: session
-- Times in UTC, texts as the standard writes them, and patience with a reader that pauses.
SET SESSION time_zone = '+00:00', sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES',
    net_write_timeout = 3600, lock_wait_timeout = {timeout};

-- name: isolation
-- Everything that is read afterwards comes from one moment …
SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

-- name: begin
-- … this one.
START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;

-- name: kill
-- End what another of our connections does.
KILL QUERY {id};

-- name: schemas
-- Databases with something to read.
SELECT schema_name
  FROM information_schema.schemata
 WHERE schema_name NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
 ORDER BY schema_name <> %s, schema_name;

-- name: tables
-- Tables and views of a database.
SELECT table_name, CASE WHEN table_type LIKE '%%VIEW' THEN 'view' ELSE 'table' END,
       CASE WHEN table_type LIKE '%%VIEW' THEN '' ELSE table_comment END
  FROM information_schema.tables
 WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
 ORDER BY table_name;

-- name: columns
-- The columns of a table that may be read, and of how many parts its key is: some of them may not
-- be read. Its indexes are asked for by their names: for each column, or without a name, the server
-- would open every table that it has.
SELECT c.column_name, c.data_type, c.column_type, c.character_maximum_length,
       c.numeric_precision, c.numeric_scale, c.is_nullable, c.extra, c.column_comment,
       k.position, coalesce(k.is_first, 0), p.parts
  FROM information_schema.columns c
  LEFT JOIN (SELECT column_name,
                    min(CASE WHEN index_name = 'PRIMARY' THEN seq_in_index - 1 END) AS position,
                    max(seq_in_index = 1) AS is_first
               FROM information_schema.statistics
              WHERE table_schema = %s AND table_name = %s
              GROUP BY column_name) k ON k.column_name = c.column_name
 CROSS JOIN (SELECT count(*) AS parts
               FROM information_schema.statistics
              WHERE table_schema = %s AND table_name = %s AND index_name = 'PRIMARY') p
 WHERE c.table_schema = %s AND c.table_name = %s
 ORDER BY c.ordinal_position;

-- name: rows
-- The rows of a request.
SELECT {values} FROM {table} WHERE {conditions}{order}{limit};

-- name: add_rows
-- New rows.
INSERT INTO {table} ({columns}) VALUES ({marks});
