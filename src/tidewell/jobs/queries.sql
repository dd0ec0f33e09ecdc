-- name: insert_job
-- A new job; the unique indexes refuse a second one for the same table or the same place.
INSERT INTO job (id, account_id, connection_id, connection_ids, job_type, name, enabled,
                 interval_unit, interval_value, log_verbosity, anchor_at, next_run_at, params,
                 source_schema, source_table, cache_schema, cache_table, created_at, modified_at,
                 scheduled_at)
VALUES (%(id)s, %(account_id)s, %(connection_id)s, %(connection_ids)s, %(job_type)s, %(name)s,
        %(enabled)s,
        %(interval_unit)s, %(interval_value)s, %(log_verbosity)s, %(anchor_at)s, %(next_run_at)s,
        %(params)s, %(source_schema)s, %(source_table)s, %(cache_schema)s, %(cache_table)s,
        %(now)s, %(now)s, %(now)s);

-- name: update_job
-- New settings; `reload` stays set until a full load has been committed.
UPDATE job
   SET connection_id = %(connection_id)s, connection_ids = %(connection_ids)s,
       name = %(name)s, enabled = %(enabled)s,
       interval_unit = %(interval_unit)s, interval_value = %(interval_value)s,
       log_verbosity = %(log_verbosity)s, anchor_at = %(anchor_at)s,
       scheduled_at = CASE WHEN next_run_at = %(next_run_at)s THEN scheduled_at
                           ELSE %(now)s END,
       next_run_at = %(next_run_at)s, params = %(params)s, source_schema = %(source_schema)s,
       source_table = %(source_table)s, cache_schema = %(cache_schema)s,
       cache_table = %(cache_table)s, reload = reload OR %(reload)s, modified_at = %(now)s
 WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: lock_job
-- A job of the account, held against changes until the transaction ends. Not FOR UPDATE: whoever
-- waits for the job's active run while he holds the job (insert_run does) must not hold up that
-- run's end, which may look whether the job is there (FOR KEY SHARE, by the foreign key).
SELECT * FROM job WHERE account_id = %(account_id)s AND id = %(id)s FOR NO KEY UPDATE;

-- name: delete_job
-- Forget a job; its runs and their logs go with it.
DELETE FROM job WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: jobs_of_connection
-- The account's jobs, perhaps only those that use one connection.
SELECT id, name
  FROM job
 WHERE account_id = %(account_id)s
   AND (%(connection_id)s::uuid IS NULL OR connection_id = %(connection_id)s
        OR %(connection_id)s = ANY (connection_ids))
 ORDER BY created_at, id;

-- name: list_jobs
-- The account's jobs, oldest first, each with its latest run; only those over given connections,
-- and no others beside them, where a token is narrowed to them, or only one.
SELECT job.*, connection.name AS connection_name,
       latest.state AS run_state, latest.started_at AS run_started_at,
       latest.finished_at AS run_finished_at, latest.rows_affected AS run_rows_affected
  FROM job
  LEFT JOIN connection
    ON connection.id = job.connection_id AND connection.account_id = %(account_id)s
  LEFT JOIN LATERAL (
       SELECT state, started_at, finished_at, rows_affected
         FROM run
        WHERE run.job_id = job.id
        ORDER BY queued_at DESC, id
        LIMIT 1) AS latest ON true
 WHERE job.account_id = %(account_id)s
   AND (%(id)s::uuid IS NULL OR job.id = %(id)s)
   AND (%(connection_ids)s::uuid[] IS NULL
        OR coalesce(job.connection_id = ANY (%(connection_ids)s),
                    job.connection_ids <@ %(connection_ids)s))
 ORDER BY job.created_at, job.id;

-- name: list_jobs_as_text
-- The same jobs as list_jobs, with just what the Job API shows and every value as it is shown:
-- PostgreSQL writes ten thousand times faster than Python reads and writes them. A time that does
-- not exist is NULL. The columns are the arguments of `job_of_texts`, in order.
SELECT job.job_type, job.id::text, job.name, job.enabled,
       to_char(job.created_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       to_char(job.modified_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       CASE WHEN job.enabled THEN to_char(job.next_run_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') END,
       job.interval_unit, job.interval_value, job.log_verbosity,
       to_char(latest.started_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
       greatest(floor(extract(epoch FROM
           coalesce(latest.finished_at, %(now)s) - latest.started_at)), 0)::bigint,
       latest.state, latest.rows_affected,
       job.params::text, connection.name, job.cache_schema, job.cache_table
  FROM job
  LEFT JOIN connection
    ON connection.id = job.connection_id AND connection.account_id = %(account_id)s
  LEFT JOIN LATERAL (
       SELECT state, started_at, finished_at, rows_affected
         FROM run
        WHERE run.job_id = job.id
        ORDER BY queued_at DESC, id
        LIMIT 1) AS latest ON true
 WHERE job.account_id = %(account_id)s
   AND (%(connection_ids)s::uuid[] IS NULL
        OR coalesce(job.connection_id = ANY (%(connection_ids)s),
                    job.connection_ids <@ %(connection_ids)s))
 ORDER BY job.created_at, job.id;

-- name: same_table
-- The caching job that already keeps this table, or a job that has this place in the cache.
SELECT id, name, cache_schema, cache_table,
       coalesce(connection_id = %(connection_id)s AND source_schema = %(source_schema)s
                AND source_table = %(source_table)s, false) AS same_source
  FROM job
 WHERE account_id = %(account_id)s
   AND id <> %(id)s
   AND ((connection_id = %(connection_id)s AND source_schema = %(source_schema)s
         AND source_table = %(source_table)s)
        OR (cache_schema = %(cache_schema)s AND cache_table = %(cache_table)s))
 ORDER BY same_source DESC
 LIMIT 1;

-- name: due_jobs
-- across accounts: the ticker serves all of them.
-- Jobs whose time has come, locked so that no other ticker takes them.
SELECT id, account_id, anchor_at, interval_unit, interval_value, next_run_at
  FROM job
 WHERE enabled AND next_run_at <= %(now)s
 ORDER BY next_run_at
 LIMIT %(limit)s
   FOR NO KEY UPDATE SKIP LOCKED;

-- name: put_off_jobs
-- across accounts: schedules are mended for all of them.
-- Jobs whose next time was set by a clock that ran ahead of ours, and is more than one interval away
-- although their grid has begun. Clocks of nodes may differ by some seconds.
SELECT id, account_id, anchor_at, interval_unit, interval_value, next_run_at
  FROM job
 WHERE enabled AND anchor_at <= %(now)s
   AND scheduled_at > %(now)s + interval '5 seconds'
   AND next_run_at > %(now)s + CASE interval_unit
           WHEN 'Minute' THEN make_interval(mins => interval_value)
           WHEN 'Hour' THEN make_interval(hours => interval_value)
           WHEN 'Day' THEN make_interval(days => interval_value)
           WHEN 'Week' THEN make_interval(weeks => interval_value)
           -- The 31st after a 30th or a 28th is up to three days more than a month away.
           ELSE make_interval(months => interval_value, days => 4)
       END
   FOR NO KEY UPDATE SKIP LOCKED;

-- name: set_next_runs
-- across accounts: the ticker moves the schedules of all the jobs that it has just queued.
UPDATE job
   SET next_run_at = due.next_run_at, scheduled_at = %(now)s
  FROM unnest(%(ids)s::uuid[], %(times)s::timestamptz[]) AS due (id, next_run_at)
 WHERE job.id = due.id;

-- name: clear_reload
-- The full load that was asked for has been committed, unless the job, its source or its cache has
-- become another meanwhile.
UPDATE job
   SET reload = false
 WHERE account_id = %(account_id)s AND id = %(id)s AND reload
   AND %(settings_at)s = greatest(
           modified_at,
           (SELECT modified_at FROM connection
             WHERE account_id = %(account_id)s AND id = job.connection_id),
           (SELECT modified_at FROM cache_connection WHERE account_id = %(account_id)s));

-- name: cache_of_account
-- The account's cache connection, sealed; held so that it does not change under a new job.
SELECT id, sealed FROM cache_connection WHERE account_id = %(account_id)s FOR SHARE;

-- name: hold_account
-- The account, held so that it does not go while a job is made; its jobs are locked after it.
SELECT FROM account WHERE id = %(account_id)s FOR KEY SHARE;

-- name: hold_connections
-- Those of some connections that are there, held so that they do not go while a job that needs
-- them is written: a list of connections has no foreign key.
SELECT id
  FROM connection
 WHERE account_id = %(account_id)s AND id = ANY (%(connection_ids)s)
 ORDER BY id
   FOR KEY SHARE;
