-- From the staging table to the cached one: only what differs is written, so that a reader never
-- waits, a view or an index on the table stays, and a refresh that changed nothing writes nothing.
-- `staged` is the staging table; `cached` the cached one. Lists are put in by psycopg.sql.

-- name: null_keys
-- Rows without a key cannot be merged.
SELECT count(*) FROM {staging} WHERE {any_key_is_null};

-- name: repeated_keys
-- Keys that came more than once, and one of them.
SELECT count(*), (array_agg(key::text))[1]
  FROM (SELECT ROW({key}) AS key FROM {staging} GROUP BY {key} HAVING count(*) > 1) AS repeated;

-- name: keep_newest
-- Of rows with the same key, keep the one that moved furthest, then the one that was read last.
DELETE FROM {staging} AS staged
 USING (SELECT ctid AS place,
               row_number() OVER (PARTITION BY {key} ORDER BY {order} ctid DESC) AS rank
          FROM {staging}) AS ranked
 WHERE staged.ctid = ranked.place AND ranked.rank > 1;

-- name: insert_all
-- Every row: the table is empty, or rows are only added to it.
INSERT INTO {table} ({columns})
SELECT {values}
  FROM {staging} AS staged;

-- name: upsert
-- New rows, and rows of which any value differs.
WITH written AS (
    INSERT INTO {table} AS cached ({columns})
    SELECT {values}
      FROM {staging} AS staged
      LEFT JOIN {table} AS cached ON {same_key}
     WHERE cached.ctid IS NULL OR {differs}
        ON CONFLICT ({key}) DO UPDATE SET {assignments}
    RETURNING (cached.xmax = 0) AS inserted
)
SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM written;

-- name: merge
-- The same in one pass over the table, from PostgreSQL 17 on: INSERT with ON CONFLICT looks each row
-- up a second time.
WITH written AS (
    MERGE INTO {table} AS cached
    USING {staging} AS staged ON {same_key}
     WHEN MATCHED AND {differs} THEN UPDATE SET {assignments}
     WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})
    RETURNING merge_action() = 'INSERT' AS inserted
)
SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM written;

-- name: upsert_new
-- The same where most rows are known to be new or changed: each row is looked up once, by the key's
-- index. A row that is the same after all is locked, which writes a little; so not where most are.
WITH written AS (
    INSERT INTO {table} AS cached ({columns})
    SELECT {values}
      FROM {staging} AS staged
        ON CONFLICT ({key}) DO UPDATE SET {assignments} WHERE {differs}
    RETURNING (cached.xmax = 0) AS inserted
)
SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM written;

-- name: takes_upserts
-- Whether INSERT with ON CONFLICT does what MERGE does: it would fire triggers of inserts for rows
-- that it then updates, cannot move a row to another part, and does not go with rules.
SELECT relkind = 'r' AND NOT relhasrules
       AND NOT EXISTS (SELECT FROM pg_trigger
                        WHERE tgrelid = class.oid AND NOT tgisinternal)
  FROM pg_class AS class WHERE oid = {table}::regclass;

-- name: has_rules
-- Whether somebody has put a rule on the table: MERGE does not work then.
SELECT relhasrules FROM pg_class WHERE oid = {table}::regclass;

-- name: upsert_keys_only
-- The same where every column is part of the key: there is nothing to update.
INSERT INTO {table} AS cached ({columns})
SELECT {values}
  FROM {staging} AS staged
    ON CONFLICT ({key}) DO NOTHING;

-- name: delete_gone
-- Rows whose key the source no longer has; `within` is a condition on them.
DELETE FROM {table} AS cached
 WHERE {within} AND NOT EXISTS (SELECT FROM {staging} AS staged WHERE {same_key});

-- name: mark_cached
-- Without a key, rows are compared as a multiset: the nth copy of a row pairs with the nth copy.
-- `within` is a condition on the cached ones.
CREATE TEMPORARY TABLE {marks} ON COMMIT DROP AS
SELECT cached.ctid AS place, digest,
       row_number() OVER (PARTITION BY digest) AS nth
  FROM {table} AS cached,
       LATERAL (SELECT sha256(convert_to(ROW({cached_values})::text, 'UTF8')) AS digest) AS digested
 WHERE {within};

-- name: mark_staged
-- The same of what was read.
CREATE TEMPORARY TABLE {staged_marks} ON COMMIT DROP AS
SELECT staged.ctid AS place, digest,
       row_number() OVER (PARTITION BY digest) AS nth
  FROM {staging} AS staged,
       LATERAL (SELECT sha256(convert_to(ROW({values})::text, 'UTF8')) AS digest) AS digested;

-- name: delete_unpaired
-- Cached copies that the source no longer has.
DELETE FROM {table} AS cached
 USING {marks} AS marks
 WHERE cached.ctid = marks.place
   AND NOT EXISTS (SELECT FROM {staged_marks} AS staged
                    WHERE staged.digest = marks.digest AND staged.nth = marks.nth);

-- name: insert_unpaired
-- Copies that are not cached yet.
INSERT INTO {table} ({columns})
SELECT {values}
  FROM {staging} AS staged
  JOIN {staged_marks} AS staged_marks ON staged.ctid = staged_marks.place
 WHERE NOT EXISTS (SELECT FROM {marks} AS marks
                    WHERE marks.digest = staged_marks.digest AND marks.nth = staged_marks.nth);
