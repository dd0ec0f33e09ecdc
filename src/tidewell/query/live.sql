-- The DuckDB that joins what sources give.

-- name: utc
-- Times without a zone are never taken for this machine's.
SET TimeZone = 'UTC';

-- name: shut
-- No file, no network, no extension that is not built in.
SET enable_external_access = false;

-- name: lock
-- None of the above can be undone.
SET lock_configuration = true;
