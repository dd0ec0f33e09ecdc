-- Where a table can be cut.

-- name: estimate
-- How many rows the server believes there are, in the column `rows`.
EXPLAIN SELECT {column} FROM {table};

-- name: ends
-- Both ends of the primary key, each the first look into its index.
SELECT MIN({column}), MAX({column}) FROM {table};
