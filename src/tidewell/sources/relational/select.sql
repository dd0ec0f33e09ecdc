-- What every source is asked that answers SELECTs.

-- name: select
-- The rows of a request.
SELECT {values} FROM {table} WHERE {conditions}{order}{limit};

-- name: select_top
-- The same, where the number of rows stands at the beginning.
SELECT {limit}{values} FROM {table} WHERE {conditions}{order};
