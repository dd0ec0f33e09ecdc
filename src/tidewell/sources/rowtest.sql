-- What DuckDB is asked about the batches that a filter judges.

-- name: utc
-- Times without a zone are never taken for this machine's.
SET TimeZone = 'UTC';

-- name: shut
-- No file, no network.
SET enable_external_access = false;

-- name: lock
-- No setting can be undone.
SET lock_configuration = true;

-- name: judge
-- Whether each row of a batch passes, in the order of the rows; NULL is not true.
SELECT {condition} AS kept
  FROM batch;
