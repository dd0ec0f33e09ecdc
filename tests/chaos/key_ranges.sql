-- name: fill
-- A table that is large enough to be read in ranges.
CREATE SCHEMA IF NOT EXISTS large;
DROP TABLE IF EXISTS large.orders;
CREATE TABLE large.orders AS
SELECT n::bigint AS id, n % 977 AS customer, 'Customer ' || n % 5000 AS name
  FROM generate_series(1, 1200000) AS n;
ALTER TABLE large.orders ADD PRIMARY KEY (id);
ANALYZE large.orders;

-- name: source
-- All rows, in short.
SELECT count(*), sum(id), sum(id * customer), sum(hashtextextended(name::text, id)::numeric)
  FROM large.orders;

-- name: cached
-- The same of the copy.
SELECT count(*), sum(id), sum(id * customer), sum(hashtextextended(name::text, id)::numeric)
  FROM large_copy.orders;

-- name: left
-- What runs have left in the cache: tables on their way, sessions.
SELECT relname::text FROM pg_class WHERE relname LIKE 'load\_%'
UNION ALL
SELECT application_name FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'tidewell job %';

-- name: reading
-- Sessions that still read the source.
SELECT application_name FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = 'tidewell';
