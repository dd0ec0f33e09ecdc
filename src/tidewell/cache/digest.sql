-- The order-free digest of what stands in a staging table: each value is hashed by PostgreSQL's own
-- functions with its column's seed, a row is the XOR of its values, a table the sum of its rows.
-- `{value}` is a column; a NULL counts as the seed itself.

-- name: digest
-- Rows, the sum of their hashes, and what is counted or summed instead of hashed.
SELECT count(*), coalesce(sum({row}), 0){rest}
  FROM {table} AS staged;

-- name: hash_boolean
-- Two numbers of the seed's own.
CASE {value} WHEN TRUE THEN {when_true} WHEN FALSE THEN {when_false} END

-- name: hash_smallint
-- int2
hashint2extended({value}, {seed})

-- name: hash_integer
-- int4
hashint4extended({value}, {seed})

-- name: hash_bigint
-- int8
hashint8extended({value}, {seed})

-- name: hash_real
-- float4, hashed as the float8 that it is
hashfloat4extended({value}, {seed})

-- name: hash_double
-- float8
hashfloat8extended({value}, {seed})

-- name: hash_date
-- Days since 2000-01-01: dates have a hash of their own from PostgreSQL 18 on only.
hashint4extended({value} - DATE '2000-01-01', {seed})

-- name: hash_time
-- Microseconds.
time_hash_extended({value}, {seed})

-- name: hash_timestamp
-- Microseconds since 2000-01-01.
timestamp_hash_extended({value}, {seed})

-- name: hash_timestamptz
-- The same of a moment, whose own hash came with PostgreSQL 18.
timestamp_hash_extended({value} AT TIME ZONE 'UTC', {seed})

-- name: hash_interval
-- As one number of microseconds, with months of 30 days.
interval_hash_extended({value}, {seed})

-- name: hash_uuid
-- Its 16 bytes.
uuid_hash_extended({value}, {seed})

-- name: hash_text
-- The bytes of a short text; of a longer one its SHA-256.
CASE WHEN octet_length({value}) <= {longest} THEN hashtextextended({value} COLLATE "C", {seed})
     ELSE hashtextextended(encode(sha256(convert_to({value}, 'UTF8')), 'hex') COLLATE "C", {seed})
END

-- name: hash_bytea
-- SHA-256 of the bytes.
hashtextextended(encode(sha256({value}), 'hex') COLLATE "C", {seed})

-- name: sum_numeric
-- Exact numbers are summed: any other value gives another sum.
sum({value})

-- name: count_jsonb
-- PostgreSQL writes JSON in its own way: it is counted.
count({value})
