-- name: generate
-- Rows of 12 columns, the same every time: each value comes from the hash of its row's number.
COPY (
    SELECT i::BIGINT AS id,
           (hash(i, 1) % 1000000)::INTEGER AS customer,
           (hash(i, 2) % 30000)::SMALLINT AS pieces,
           (hash(i, 3) % 100000000) / 997.0::DOUBLE AS price,
           ((hash(i, 4) % 10000) / 7.0)::FLOAT AS ratio,
           'Customer ' || (hash(i, 5) % 1000000) AS name,
           ['Zürich', 'São Paulo', '東京', 'Kraków', 'Nairobi'][(hash(i, 6) % 5 + 1)::INTEGER] AS city,
           CASE WHEN hash(i, 7) % 10 > 0
                THEN 'note number ' || (hash(i, 7) % 1000000000) || ' with some more text in it'
           END AS note,
           hash(i, 8) % 2 = 0 AS active,
           DATE '2015-01-01' + (hash(i, 9) % 4000)::INTEGER AS day,
           make_timestamptz((1500000000000000 + hash(i, 10) % 200000000000000)::BIGINT) AS created,
           ((hash(i, 11) % 10000000000) / 100)::DECIMAL(18, 2) AS amount
      FROM range({rows}) AS numbers (i)
) TO {path} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 122880);

-- name: make_table
-- The table that the limit is measured with: the same columns as ours, no key.
CREATE TABLE {table} (
    id bigint, customer integer, pieces smallint, price double precision, ratio real, name text,
    city text, note text, active boolean, day date, created timestamptz, amount numeric(18, 2)
);

-- name: drop_table
DROP TABLE {table};

-- name: checkpoint
CHECKPOINT;
