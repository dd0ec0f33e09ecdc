-- Where a table can be cut.

-- name: estimate
-- How many rows the planner believes there are: by the size of the table now, also where it has no
-- statistics yet.
EXPLAIN (FORMAT JSON) SELECT {column} FROM {table};

-- name: bounds
-- Quantiles of a sample of its pages, none twice.
SELECT bound::text AS written
  FROM unnest((SELECT percentile_disc(%(quantiles)s::float8[]) WITHIN GROUP (ORDER BY {column})
                 FROM {table} TABLESAMPLE SYSTEM ({share}))) AS bound
 WHERE bound IS NOT NULL
 GROUP BY bound
 ORDER BY bound;
