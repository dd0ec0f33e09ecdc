-- What Tidewell keeps in a customer's database: one row a cached table, in the schema `tidewell`.
-- Whoever may write here may change the cached tables too: it is the customer's own database.

-- name: lock_creation
-- One session at a time makes the bookkeeping or a schema: IF NOT EXISTS alone can collide.
SELECT pg_advisory_xact_lock(7205759403792794);

-- name: has_bookkeeping
-- Whether the table of cached tables stands, and that of versions, which caches of earlier releases
-- do not have. From the catalogue itself, as in schema_exists.
SELECT count(*) FILTER (WHERE class.relname = 'cached_table') > 0,
       count(*) FILTER (WHERE class.relname = 'source_version') > 0
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 WHERE namespace.nspname = 'tidewell'
   AND class.relname IN ('cached_table', 'source_version');

-- name: make_bookkeeping_schema
-- Only where it is missing: who may not make schemas has been given this one.
CREATE SCHEMA tidewell;
COMMENT ON SCHEMA tidewell IS 'Bookkeeping of Tidewell: which jobs keep which tables of this database, and how far they have read.';

-- name: make_bookkeeping
-- `attempt` is the fence: the newest attempt that has begun. The place and what follows are those
-- of the last committed load; they are NULL before the first.
CREATE TABLE IF NOT EXISTS tidewell.cached_table (
    job_id uuid PRIMARY KEY,
    attempt bigint NOT NULL,
    cache_schema text,
    cache_table text,
    made_schema boolean NOT NULL DEFAULT false,
    run_id uuid,
    committed_at timestamptz,
    watermark text,
    time_column text,
    merge_key text[],
    columns text[],
    loads_since_full integer NOT NULL DEFAULT 0,
    receipt jsonb,
    UNIQUE (cache_schema, cache_table)
);

-- name: make_versions
-- Which version of its source a cached table held, and how it was left then (`untouched.sql`). What
-- is said here stays true whatever comes later: that the table is still so has to be proved.
CREATE TABLE IF NOT EXISTS tidewell.source_version (
    job_id uuid PRIMARY KEY REFERENCES tidewell.cached_table ON DELETE CASCADE,
    version text NOT NULL,
    read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    shape text NOT NULL,
    rows bigint NOT NULL,
    since bigint NOT NULL,
    own bigint
);

-- name: keep_version
-- With the rows that were read.
INSERT INTO tidewell.source_version (job_id, version, shape, rows, since, own)
VALUES (%(job_id)s, %(version)s, %(shape)s, %(rows)s, %(since)s, %(own)s)
    ON CONFLICT (job_id) DO UPDATE
   SET version = excluded.version, read_at = excluded.read_at, shape = excluded.shape,
       rows = excluded.rows, since = excluded.since, own = excluded.own;

-- name: forget_version
-- Other rows stand now than were kept.
DELETE FROM tidewell.source_version WHERE job_id = %(job_id)s;

-- name: register
-- An attempt takes over, unless a newer one has.
INSERT INTO tidewell.cached_table AS cached (job_id, attempt)
VALUES (%(job_id)s, %(attempt)s)
    ON CONFLICT (job_id) DO UPDATE SET attempt = excluded.attempt
 WHERE cached.attempt <= excluded.attempt
RETURNING cache_schema, cache_table, run_id, watermark, time_column, merge_key, loads_since_full,
          receipt;

-- name: end_sessions
-- Attempts of a job up to a given one that are still at work here (a worker that was cut off) are
-- ended. A session's name says whose it is: `tidewell job <job> <attempt>`.
SELECT pg_terminate_backend(pid)
  FROM pg_stat_activity
 WHERE substring(application_name
                 FROM '^tidewell job ' || %(job_id)s::uuid || ' ([0-9]{1,18})$')::bigint
       <= %(attempt)s
   AND usename = current_user
   AND datname = current_database()
   AND pid <> pg_backend_pid();

-- name: place
-- What stands at a place (see relation_kind); which other job keeps a table there; whether this job
-- has left a hidden table (see ranges.sql); the version of the source that was kept last.
SELECT (SELECT class.relkind::text
          FROM pg_class AS class
          JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
         WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s),
       (SELECT job_id
          FROM tidewell.cached_table
         WHERE cache_schema = %(schema)s AND cache_table = %(table)s AND job_id <> %(job_id)s),
       EXISTS (SELECT
                 FROM pg_class AS class
                 JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
                WHERE namespace.nspname = 'tidewell' AND class.relkind = 'r'
                  AND class.relname > %(prefix)s::name
                  AND class.relname < (%(prefix)s || ':')::name),
       version.version, version.read_at, version.shape, version.rows, version.since, version.own
  FROM (VALUES (1)) AS one (row)
  LEFT JOIN tidewell.source_version AS version ON version.job_id = %(job_id)s;

-- name: hold
-- Hold the fence until the end of the transaction.
SELECT attempt, cache_schema, cache_table, merge_key, columns
  FROM tidewell.cached_table
 WHERE job_id = %(job_id)s
   FOR UPDATE;

-- name: commit_load
-- What a load did, written with its rows.
UPDATE tidewell.cached_table
   SET cache_schema = %(schema)s, cache_table = %(table)s,
       made_schema = CASE WHEN cache_schema IS NOT DISTINCT FROM %(schema)s
                          THEN made_schema OR %(made_schema)s ELSE %(made_schema)s END,
       run_id = %(run_id)s, committed_at = clock_timestamp(),
       watermark = %(watermark)s, time_column = %(time_column)s, merge_key = %(key)s, columns = %(columns)s,
       loads_since_full = CASE WHEN %(mode)s = 'full' THEN 0 ELSE loads_since_full + 1 END,
       receipt = %(receipt)s
 WHERE job_id = %(job_id)s AND attempt = %(attempt)s;

-- name: commit_unchanged
-- A run that had nothing to load: as good as a full refresh, and nothing else moves.
UPDATE tidewell.cached_table
   SET run_id = %(run_id)s, committed_at = clock_timestamp(), loads_since_full = 0,
       receipt = %(receipt)s
 WHERE job_id = %(job_id)s AND attempt = %(attempt)s;

-- name: committed_run
-- The receipt of this run if it has committed: asked when the answer to COMMIT was lost, or the
-- process that would have told it.
SELECT receipt FROM tidewell.cached_table WHERE job_id = %(job_id)s AND run_id = %(run_id)s;

-- name: forget
-- The job is gone, or keeps its table elsewhere from this attempt on; its place is given back.
DELETE FROM tidewell.cached_table
 WHERE job_id = %(job_id)s AND attempt <= %(attempt)s
RETURNING cache_schema, cache_table, made_schema;

-- name: schema_in_use
-- Whether anything still stands in a schema.
SELECT EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace(quote_ident(%(schema)s)))
    OR EXISTS (SELECT FROM pg_proc WHERE pronamespace = to_regnamespace(quote_ident(%(schema)s)))
    OR EXISTS (SELECT FROM tidewell.cached_table WHERE cache_schema = %(schema)s);
