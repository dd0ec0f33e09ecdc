-- The order-free digest of what stands in a staging table: each value is hashed by PostgreSQL's own
-- functions with its column's seed, a row is the XOR of its values, a table the sum of its rows.
-- `{value}` is a column; a NULL counts as a number of its column's own.

-- name: digest
-- Rows, the sum of their hashes, and how much JSON there is.
SELECT count(*), coalesce(sum({row}), 0){rest}
  FROM {table} AS staged;
