-- A table that is made anew beside the one that stands, to take its place: whether nobody would
-- notice, and how it is done.

-- name: is_alone
-- Whether nothing hangs on a table but what it brings along itself: no views, foreign keys, policies,
-- statistics or functions, publications, labels, parents or children. Whether nobody follows the
-- server's log: a table's lock ends queries of a standby, and who reads of rows is told of another
-- table. And whether we may make tables beside it.
WITH one AS (
    SELECT class.*, class.oid AS number
      FROM pg_class AS class
      JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
     WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s
), own (classid, objid) AS (
    SELECT 'pg_class'::regclass::oid, number FROM one
     UNION ALL
    SELECT 'pg_class'::regclass, reltoastrelid FROM one
     UNION ALL
    SELECT 'pg_class'::regclass, indexrelid
      FROM one JOIN pg_index ON indrelid IN (number, reltoastrelid)
     UNION ALL
    SELECT 'pg_constraint'::regclass, pg_constraint.oid FROM one JOIN pg_constraint ON conrelid = number
     UNION ALL
    SELECT 'pg_type'::regclass, reltype FROM one
     UNION ALL
    SELECT 'pg_type'::regclass, typarray FROM one JOIN pg_type ON pg_type.oid = reltype
)
SELECT pg_get_userbyid(relowner) = current_user
       AND has_schema_privilege(relnamespace, 'CREATE')
       AND NOT EXISTS (SELECT FROM pg_depend
                        WHERE (refclassid, refobjid) IN (TABLE own)
                          AND (classid, objid) NOT IN (TABLE own))
       AND NOT EXISTS (SELECT FROM pg_depend
                        WHERE (classid, objid) IN (TABLE own) AND deptype IN ('e', 'x'))
       AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = number)
       AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = number)
       AND NOT EXISTS (SELECT FROM pg_seclabel WHERE (classoid, objoid) IN (TABLE own))
       AND NOT EXISTS (SELECT FROM pg_publication WHERE puballtables)
       -- A publication of all tables of the schema; there is no such catalogue before PostgreSQL 15.
       AND NOT EXISTS (SELECT FROM pg_depend
                        WHERE refclassid = 'pg_namespace'::regclass AND refobjid = relnamespace
                          AND classid = to_regclass('pg_catalog.pg_publication_namespace'))
       AND NOT EXISTS (SELECT FROM pg_stat_replication)
       AND NOT EXISTS (SELECT FROM pg_replication_slots
                        WHERE slot_type = 'physical' OR database = current_database())
  FROM one;

-- name: is_free
-- What is looked at once, before anything is written. Whether nobody does something with the table
-- that takes long (VACUUM) or changes it; no function names it, which might keep the type of its rows
-- in a variable; and the server writes a log of new tables, else COMMIT writes the tables themselves.
SELECT current_setting('wal_level') <> 'minimal'
       AND NOT EXISTS (SELECT FROM pg_locks
                        WHERE locktype = 'relation' AND relation = class.oid
                          AND database = (SELECT oid FROM pg_database
                                           WHERE datname = current_database())
                          AND pid <> pg_backend_pid()
                          AND mode NOT IN ('AccessShareLock', 'RowShareLock', 'RowExclusiveLock'))
       AND NOT EXISTS (SELECT FROM pg_proc
                         JOIN pg_language AS language ON language.oid = prolang
                        WHERE language.lanname NOT IN ('internal', 'c')
                          AND pronamespace NOT IN ('pg_catalog'::regnamespace,
                                                   'information_schema'::regnamespace)
                          AND strpos(lower(prosrc), lower(class.relname)) > 0)
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: portrait
-- All that a table is, as one text, but for its rows, its name and those of its parts, and its
-- comment.
SELECT jsonb_build_array(
           to_jsonb(class) - '{oid,relname,relnamespace,reltype,relfilenode,relpages,reltuples,
                               relallvisible,relallfrozen,reltoastrelid,relfrozenxid,relminmxid,
                               relacl}'::text[],
           (SELECT to_jsonb(reloptions) FROM pg_class WHERE oid = class.reltoastrelid),
           (SELECT to_jsonb(typacl) FROM pg_type WHERE oid = class.reltype),
           obj_description(class.reltype, 'pg_type'),
           (SELECT jsonb_agg(to_jsonb(granted) ORDER BY to_jsonb(granted))
              FROM aclexplode(coalesce(class.relacl, acldefault('r', class.relowner))) AS granted),
           (SELECT jsonb_agg(jsonb_build_array(
                       to_jsonb(attribute) - '{attrelid,atthasmissing,attmissingval}'::text[],
                       col_description(class.oid, attnum)) ORDER BY attnum)
              FROM pg_attribute AS attribute
             WHERE attrelid = class.oid AND attnum > 0),
           (SELECT jsonb_agg(jsonb_build_array(
                       to_jsonb(index) - '{indexrelid,indrelid,indcheckxmin}'::text[],
                       own.relam, own.reloptions, own.reltablespace,
                       obj_description(own.oid, 'pg_class'))
                       ORDER BY indisprimary DESC, indkey::text)
              FROM pg_index AS index
              JOIN pg_class AS own ON own.oid = indexrelid
             WHERE indrelid = class.oid),
           (SELECT jsonb_agg(jsonb_build_array(
                       to_jsonb(rule) - '{oid,conname,connamespace,conrelid,conindid}'::text[],
                       obj_description(rule.oid, 'pg_constraint')) ORDER BY contype, conkey::text)
              FROM pg_constraint AS rule
             WHERE conrelid = class.oid))::text
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: parts
-- The names of a table's indexes and of its other constraints, in the order of its portrait; the
-- comments on its columns.
SELECT (SELECT coalesce(json_agg(own.relname ORDER BY indisprimary DESC, indkey::text), '[]')
          FROM pg_index
          JOIN pg_class AS own ON own.oid = indexrelid
         WHERE indrelid = class.oid),
       (SELECT coalesce(json_agg(conname ORDER BY contype, conkey::text), '[]')
          FROM pg_constraint
         WHERE conrelid = class.oid AND conindid = 0),
       (SELECT coalesce(json_object_agg(attname, col_description(class.oid, attnum)), '{}')
          FROM pg_attribute
         WHERE attrelid = class.oid AND col_description(class.oid, attnum) IS NOT NULL)
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: near
-- The way to the server and back.
SELECT 1;

-- name: written
-- How far the server has come with its log. Some do not say.
SELECT pg_current_wal_insert_lsn();

-- name: is_flushed
-- Whether all up to there but a few pages is on its disk, so that a COMMIT has little to wait for: the
-- last page is not written before it.
SELECT pg_wal_lsn_diff(%(lsn)s::pg_lsn, pg_current_wal_flush_lsn()) < 65536;

-- name: wait
-- Until somebody has read on.
SELECT pg_sleep(%(seconds)s);

-- name: begin_swap
-- From here on all that follows is one message to the server: nobody waits for our network.
SAVEPOINT tidewell_swap

-- name: wait_at_most
-- Whoever reads the table meanwhile waits behind us.
SET LOCAL lock_timeout = {milliseconds}

-- name: idle_at_most
-- Nobody waits for us if we fall silent.
SET LOCAL idle_in_transaction_session_timeout = {milliseconds}

-- name: lock
-- Readers of before have to be through, new ones wait.
LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE

-- name: rename_index
-- With the constraint that it stands for.
ALTER INDEX {index} RENAME TO {to}

-- name: rename_table
-- A table that goes, or comes.
ALTER TABLE {table} RENAME TO {to}

-- name: put_away
-- Where nobody looks, until it is dropped.
ALTER TABLE {table} SET SCHEMA {schema}

-- name: rename_constraint
-- What has no index.
ALTER TABLE {table} RENAME CONSTRAINT {constraint} TO {to}

-- name: wait_again
-- For what follows to the COMMIT.
SET LOCAL lock_timeout = '1s'

-- name: undo_swap
-- All is as before; what is written next is this transaction's own again, of no part of it.
ROLLBACK TO SAVEPOINT tidewell_swap;
RELEASE SAVEPOINT tidewell_swap;
