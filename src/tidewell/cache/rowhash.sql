-- The hash of a value, for each type, by PostgreSQL's own functions. `value` is a column, `{seed}`
-- its number. The hashes of eight-byte numbers and times fold them to four bytes first, so that
-- something else of the value is taken in besides: two that differ have the same hash with a chance
-- of one in 2^64.

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
-- int8, folded, and all of it.
(hashint8extended({value}, {seed}) # {value})

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
-- Seconds as a float8, which is exact.
hashfloat8extended(date_part('epoch', {value}), {seed})

-- name: hash_timestamp
-- Seconds as a float8, which is exact for some centuries; beyond, the folded microseconds as well.
CASE WHEN {value} > '1800-01-01' AND {value} < '2200-01-01'
     THEN hashfloat8extended(date_part('epoch', {value}), {seed})
     ELSE hashfloat8extended(date_part('epoch', {value}), {seed})
          # timestamp_hash_extended({value}, {seed})
END

-- name: hash_timestamptz
-- The same of a moment, whose own hash came with PostgreSQL 18.
CASE WHEN {value} > '1800-01-01 00:00+00' AND {value} < '2200-01-01 00:00+00'
     THEN hashfloat8extended(date_part('epoch', {value}), {seed})
     ELSE hashfloat8extended(date_part('epoch', {value}), {seed})
          # timestamp_hash_extended({value} AT TIME ZONE 'UTC', {seed})
END

-- name: hash_near_moment
-- Either of them where nothing is as far.
hashfloat8extended(date_part('epoch', {value}), {seed})

-- name: hash_interval
-- As one number of microseconds, with months of 30 days; and its seconds as a float8.
(interval_hash_extended({value}, {seed}) # hashfloat8extended(date_part('epoch', {value}), {seed}))

-- name: hash_numeric
-- Its hash leaves out the sign, and takes in little of where the point is: a number is added to it
-- so that another sign or another power of ten gives other digits.
hash_numeric_extended({value} + {shift}, {seed})

-- name: hash_uuid
-- Its 16 bytes.
uuid_hash_extended({value}, {seed})

-- name: hash_text
-- The bytes of a short text; of a longer one its SHA-256.
CASE WHEN octet_length({value}) <= {longest} THEN hashtextextended({value} COLLATE "C", {seed})
     ELSE hashtextextended(encode(sha256(convert_to({value}, 'UTF8')), 'hex') COLLATE "C", {seed})
END

-- name: hash_short_text
-- Where no text is longer.
hashtextextended({value} COLLATE "C", {seed})

-- name: hash_bytea
-- SHA-256 of the bytes.
hashtextextended(encode(sha256({value}), 'hex') COLLATE "C", {seed})

-- name: count_jsonb
-- PostgreSQL writes JSON in its own way: it is counted.
count({value})
