-- What a person would type into psql; `rows.bin` holds the rows in COPY's binary format.

-- name: merge
-- An increment, merged by key in the fastest way that we know.
BEGIN;
CREATE TEMPORARY TABLE staging (LIKE bench_hand) ON COMMIT DROP;
\copy staging from '{file}' with (format binary)
ANALYZE staging;
INSERT INTO bench_hand SELECT * FROM staging
    ON CONFLICT (id) DO UPDATE SET
       (customer, pieces, price, ratio, name, city, note, active, day, created, amount) =
       (excluded.customer, excluded.pieces, excluded.price, excluded.ratio, excluded.name,
        excluded.city, excluded.note, excluded.active, excluded.day, excluded.created,
        excluded.amount);
COMMIT;

-- name: reload
-- Everything anew: another table, its key, and the old one's name. Views do not survive it.
BEGIN;
CREATE TABLE bench_new (LIKE bench_hand);
\copy bench_new from '{file}' with (format binary)
ALTER TABLE bench_new ADD PRIMARY KEY (id);
DROP TABLE bench_hand;
ALTER TABLE bench_new RENAME TO bench_hand;
COMMIT;

-- name: reload_without_key
-- The same where the table has no key.
BEGIN;
CREATE TABLE bench_new (LIKE bench_hand);
\copy bench_new from '{file}' with (format binary)
DROP TABLE bench_hand;
ALTER TABLE bench_new RENAME TO bench_hand;
COMMIT;
