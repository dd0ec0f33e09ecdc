-- A full refresh as a difference: rows are put into buckets by a hash, on both sides, and only the
-- rows of buckets that are not the same are looked at one by one. `cached` is the table that
-- stands. It is read page by page, so that no answer is larger than some pages' rows.

-- name: snapshot
-- All pages as of one moment.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;

-- name: pages
-- How many pages a table has.
SELECT pg_relation_size(class.oid) / current_setting('block_size')::int
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: rows
-- Of each row of some pages: its place, the hash of its key where it has one, and its own.
SELECT string_agg(tidsend(cached.ctid), ''), {keys}, string_agg(int8send({row}), '')
  FROM {table} AS cached
 WHERE cached.ctid >= {first} AND cached.ctid < {end};

-- name: keys
-- The hashes of the keys.
string_agg(int8send({key}), '')

-- name: in_changed
-- Whether a row's bucket is among those that are not the same.
get_bit({changed}, (({key}) & {mask})::int4) = 1

-- name: delete_at
-- The rows at some places; how many there were, and the sum of their hashes.
WITH gone AS (
    DELETE FROM {table} AS cached
     WHERE cached.ctid = ANY ({places}::tid[])
    RETURNING {row} AS hash
)
SELECT count(*), coalesce(sum(hash), 0) FROM gone;

-- name: delete_all
-- Every row.
DELETE FROM {table};

-- name: is_plain
-- Whether a place is one row's alone, all rows are seen, and nobody writes something else than we
-- say: no rules, and no trigger before each row (the bits 1 and 2 of its type).
SELECT class.relkind = 'r' AND NOT class.relhassubclass AND NOT class.relhasrules
       AND NOT row_security_active(class.oid)
       AND NOT EXISTS (SELECT FROM pg_trigger
                        WHERE tgrelid = class.oid AND NOT tgisinternal AND tgtype & 3 = 3)
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: is_replaceable
-- Whether a row may be deleted and written anew instead of updated: nothing points to it, nothing
-- is told of each row, and none has a number of its own, which would be another.
SELECT NOT EXISTS (SELECT FROM pg_constraint
                    WHERE contype = 'f' AND confrelid = class.oid)
       AND NOT EXISTS (SELECT FROM pg_trigger
                        WHERE tgrelid = class.oid AND NOT tgisinternal)
       AND NOT EXISTS (SELECT FROM pg_attribute
                        WHERE attrelid = class.oid AND attidentity = 'a' AND NOT attisdropped)
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;
