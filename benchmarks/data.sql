-- name: generate
-- Rows of 12 columns, the same every time: each value comes from the hash of its row's number.
-- Of each thousand rows, `changed` have another price, and a time that is later than all others;
-- so have the rows from number `old` on. `group` rows are written together.
COPY (
    SELECT i::BIGINT AS id,
           (hash(i, 1) % 1000000)::INTEGER AS customer,
           (hash(i, 2) % 30000)::SMALLINT AS pieces,
           (hash(i, 3) % 100000000) / 997.0::DOUBLE + later::INTEGER AS price,
           ((hash(i, 4) % 10000) / 7.0)::FLOAT AS ratio,
           'Customer ' || (hash(i, 5) % 1000000) AS name,
           ['Zürich', 'São Paulo', '東京', 'Kraków', 'Nairobi'][(hash(i, 6) % 5 + 1)::INTEGER] AS city,
           CASE WHEN hash(i, 7) % 10 > 0
                THEN 'note number ' || (hash(i, 7) % 1000000000) || ' with some more text in it'
           END AS note,
           hash(i, 8) % 2 = 0 AS active,
           DATE '2015-01-01' + (hash(i, 9) % 4000)::INTEGER AS day,
           make_timestamptz(1500000000000000 + (hash(i, 10) % 200000000000000)::BIGINT
                            + CASE WHEN later THEN 300000000000000 ELSE 0 END) AS created,
           ((hash(i, 11) % 10000000000) / 100)::DECIMAL(18, 2) AS amount
      FROM (SELECT range AS i, range >= {old} OR hash(range, 99) % 1000 < {changed} AS later
              FROM range({rows})) AS numbers
) TO {path} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE {group});

-- name: make_table
-- The table that the limits are measured with: the same columns as ours.
CREATE TABLE {table} (
    id bigint, customer integer, pieces smallint, price double precision, ratio real, name text,
    city text, note text, active boolean, day date, created timestamptz, amount numeric(18, 2)
);

-- name: add_key
ALTER TABLE {table} ADD PRIMARY KEY (id);

-- name: add_index
CREATE INDEX ON {table} (created);

-- name: fill
-- From a table with the same columns.
INSERT INTO {table} SELECT * FROM {other};

-- name: drop_table
DROP TABLE IF EXISTS {table} CASCADE;

-- name: drop_schema
DROP SCHEMA IF EXISTS {schema} CASCADE;

-- name: vacuum
VACUUM;

-- name: checkpoint
CHECKPOINT;

-- name: wal
-- Bytes of WAL since the beginning.
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint;
