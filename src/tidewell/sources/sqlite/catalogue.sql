-- What a SQLite source is asked.

-- name: tables
-- Tables and views; those that SQLite or a full-text index keeps for itself are none.
SELECT name, CASE type WHEN 'view' THEN 'view' ELSE 'table' END
  FROM pragma_table_list
 WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
 ORDER BY name;

-- name: columns
-- The columns of a table, and whether it holds its values to their types.
SELECT c.name, c.type, c."notnull", c.pk,
       EXISTS (SELECT 1
                 FROM pragma_index_list(?1, 'main') i, pragma_index_info(i.name, 'main') p
                WHERE p.seqno = 0 AND p.name = c.name AND i.partial = 0),
       t.strict
  FROM pragma_table_list t, pragma_table_xinfo(t.name, 'main') c
 WHERE t.schema = 'main' AND t.name = ?1 AND t.type IN ('table', 'view', 'virtual')
   AND c.hidden <> 1
 ORDER BY c.cid;

-- name: classes
-- Which kinds of values stand in columns: SQLite lets any value stand in any column.
SELECT {answers} FROM {table};

-- name: least_class
-- One of the kinds …
min(nullif(typeof({column}), 'null'));

-- name: greatest_class
-- … and another, where there are several.
max(nullif(typeof({column}), 'null'));

-- name: times
-- How the texts of a column are written that is declared to hold dates or times.
SELECT min(length(value)), max(length(value)),
       min(value GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]'),
       min(value GLOB '[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9][ T][0-2][0-9]:[0-5][0-9]:[0-5][0-9]*'),
       min(substr(value, 11, 1)), max(substr(value, 11, 1)),
       min(zone), max(zone),
       max(substr(value, 20, length(value) - 19 - length(zone)) GLOB '*[^0-9.]*'),
       max(length(value) - 19 - length(zone))
  FROM (SELECT {column} AS value,
               CASE WHEN {column} GLOB '*Z' THEN 'Z'
                    WHEN {column} GLOB '*[+-][0-9][0-9]:[0-9][0-9]' THEN substr({column}, -6)
                    ELSE ''
               END AS zone
          FROM {table}
         WHERE {column} IS NOT NULL);

-- name: decimals
-- Whether every number of a column is one of so many digits, as far as a double can tell.
SELECT max(round({column}, {scale}) <> {column} OR abs({column}) >= {bound}) FROM {table};

-- name: booleans
-- Whether every number of a column is 0 or 1.
SELECT max({column} NOT IN (0, 1)) FROM {table};

-- name: rows
-- The rows of a request. The first row gives each column its type, and is left out again.
SELECT {firsts} UNION ALL SELECT * FROM (SELECT {values} FROM {table} WHERE {conditions}{order}{limit});

-- name: add_rows
-- New rows.
INSERT INTO {table} ({columns}) VALUES ({marks});
