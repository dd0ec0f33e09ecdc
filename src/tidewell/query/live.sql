-- The DuckDB that joins what sources give.

-- name: described
-- The columns of a statement, and none of its rows.
SELECT * FROM ({statement}) AS described LIMIT 0;

-- name: utc
-- Times without a zone are never taken for this machine's.
SET TimeZone = 'UTC';

-- name: memory
-- What a query may take; what is more goes to disk.
SET memory_limit = $memory;

-- name: threads
-- How many threads it may use.
SET threads = $threads;

-- name: spill
-- Where on disk.
SET temp_directory = $spill;

-- name: allow
-- The only files that it may open: those of the tables that it was handed as files.
SET allowed_paths = $files;

-- name: scan
-- Such a table, under the key of its use.
CREATE VIEW {key} AS {relation};

-- name: shield
-- A table whose filters shall not be pushed into its scan.
CREATE VIEW {key} AS SELECT {columns} FROM {rows};

-- name: uncached
-- What it has read of a file it does not hold on to: it may wait for the next query.
SET enable_external_file_cache = false;

-- name: load
-- All rows of a stream, as a table that the optimizer can count.
CREATE TABLE {key} AS FROM {rows};

-- name: drop_view
-- A view of a query that has ended.
DROP VIEW IF EXISTS {key};

-- name: drop_table
-- Such a table.
DROP TABLE IF EXISTS {key};

-- name: shut
-- No file, no network, no extension that is not built in.
SET enable_external_access = false;

-- name: lock
-- None of the above can be undone.
SET lock_configuration = true;
