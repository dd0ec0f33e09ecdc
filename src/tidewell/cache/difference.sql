-- A full refresh as a difference: rows are put into buckets by a hash, on both sides, and only the
-- rows of buckets that are not the same have to travel. `cached` is the table that stands.

-- name: work_mem
-- For the buckets to be summed in memory, some hundred bytes each; for this transaction only.
SELECT set_config('work_mem', '64MB', true)
 WHERE pg_size_bytes(current_setting('work_mem')) < pg_size_bytes('64MB');

-- name: sums
-- Of each bucket: its number, its rows, and the sums of the lower and upper halves of their hashes.
-- OFFSET 0 keeps the hash from being computed once for each half.
SELECT string_agg(int4send(bucket), ''), string_agg(int8send(rows), ''),
       string_agg(int8send(low), ''), string_agg(int8send(high), '')
  FROM (SELECT bucket, count(*) AS rows, sum((hash << 32 >> 32)::int4) AS low,
               sum((hash >> 32)::int4) AS high
          FROM (SELECT {bucket} AS bucket, {row} AS hash FROM {table} AS cached OFFSET 0) AS hashed
         GROUP BY bucket) AS buckets;

-- name: bucket
-- The bucket of a row.
(({hash}) & {mask})::int4

-- name: in_changed
-- Whether a row's bucket is among those that are not the same.
get_bit({changed}, {bucket}) = 1
