-- name: insert_run
-- Queue a run of a job, unless one is queued or running: then nothing is inserted.
INSERT INTO run (id, account_id, job_id, state, cause, queued_at)
SELECT %(id)s, job.account_id, job.id, 'queued', %(cause)s, %(now)s
  FROM job
 WHERE job.account_id = %(account_id)s AND job.id = %(job_id)s
    ON CONFLICT (job_id) WHERE state IN ('queued', 'running') DO NOTHING
RETURNING id;

-- name: active_run
-- The job's queued or running run, if there is one, held against changes.
SELECT id, state, queue_id, stop_requested_at
  FROM run
 WHERE account_id = %(account_id)s AND job_id = %(job_id)s AND state IN ('queued', 'running')
   FOR UPDATE;

-- name: set_queue_id
-- Which job of the queue carries a run.
UPDATE run SET queue_id = %(queue_id)s WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: cancel_in_queue
-- across accounts: the queue has no accounts; the caller holds the run's own row.
-- Take a run out of the queue, or tell the worker that executes it to end it.
SELECT status::text
  FROM procrastinate_jobs
 WHERE id = procrastinate_cancel_job_v1(%(queue_id)s, true, false);

-- name: request_stop
-- Note that somebody wants this run to end.
UPDATE run
   SET stop_requested_at = coalesce(stop_requested_at, %(now)s)
 WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: claim_run
-- across accounts: a worker executes what the queue hands it; the row then tells the account.
-- Take a run into execution, with the next attempt number; a run that has ended is not taken.
UPDATE run
   SET state = 'running', attempt = nextval('attempt_number'), attempts = attempts + 1,
       started_at = coalesce(started_at, %(now)s), rows_read = 0, bytes_copied = 0
 WHERE id = %(id)s AND state IN ('queued', 'running') AND stop_requested_at IS NULL
RETURNING account_id, job_id, attempt, attempts, queue_id;

-- name: stop_unclaimed
-- across accounts: a worker executes what the queue hands it.
-- A run that was asked to end before any worker took it.
UPDATE run
   SET state = 'stopped', finished_at = %(now)s
 WHERE id = %(id)s AND state IN ('queued', 'running') AND stop_requested_at IS NOT NULL;

-- name: run_task
-- What a worker needs to execute a run: job, connection and cache connection, still sealed.
SELECT job.id AS job_id, job.name AS job_name, job.log_verbosity, job.params, job.source_schema,
       job.source_table, job.cache_schema, job.cache_table, job.reload,
       connection.id AS connection_id, connection.name AS connection_name, connection.driver,
       connection.sealed AS connection_sealed,
       cache_connection.id AS cache_id, cache_connection.sealed AS cache_sealed
  FROM job
  JOIN connection ON connection.id = job.connection_id
                 AND connection.account_id = job.account_id
  LEFT JOIN cache_connection ON cache_connection.account_id = job.account_id
 WHERE job.account_id = %(account_id)s AND job.id = %(job_id)s;

-- name: set_progress
-- How far a running attempt has come.
UPDATE run
   SET rows_read = %(rows)s, bytes_copied = %(bytes)s
 WHERE account_id = %(account_id)s AND id = %(id)s AND attempt = %(attempt)s
   AND state = 'running';

-- name: finish_run
-- The end of a run, told by its newest attempt only.
UPDATE run
   SET state = %(state)s, finished_at = %(now)s, rows_read = %(rows_read)s,
       bytes_copied = %(bytes_copied)s, rows_affected = %(rows_affected)s,
       receipt = %(receipt)s, error_code = %(error_code)s, error_message = %(error_message)s
 WHERE account_id = %(account_id)s AND id = %(id)s AND attempt = %(attempt)s
   AND state = 'running';

-- name: requeue_run
-- Hand a run back: the worker ends before the run does.
UPDATE run
   SET state = 'queued'
 WHERE account_id = %(account_id)s AND id = %(id)s AND attempt = %(attempt)s
   AND state = 'running'
RETURNING job_id;

-- name: lost_runs
-- across accounts: the sweeper serves all of them.
-- Active runs that no job of the queue carries any more: their worker died at a bad moment.
SELECT run.id, run.account_id, run.job_id
  FROM run
 WHERE run.state IN ('queued', 'running')
   AND NOT EXISTS (
       SELECT FROM procrastinate_jobs AS queued
        WHERE queued.id = run.queue_id AND queued.status IN ('todo', 'doing'))
 ORDER BY run.queued_at
 LIMIT %(limit)s
   FOR UPDATE OF run SKIP LOCKED;

-- name: insert_log
-- Lines of a run's log.
INSERT INTO run_log (run_id, at, level, message)
SELECT run.id, line.at, line.level, line.message
  FROM run,
       unnest(%(at)s::timestamptz[], %(levels)s::integer[], %(messages)s::text[])
            WITH ORDINALITY AS line (at, level, message, ordinal)
 WHERE run.account_id = %(account_id)s AND run.id = %(id)s
 ORDER BY line.ordinal;

-- name: run
-- One run of the account, with its job's connection for tokens that are narrowed to some.
SELECT run.*, job.connection_id, job.name AS job_name
  FROM run
  JOIN job ON job.id = run.job_id
 WHERE run.account_id = %(account_id)s AND run.id = %(id)s;

-- name: runs_of_job
-- A job's runs, newest first, before a time where one is given.
SELECT run.*
  FROM run
 WHERE run.account_id = %(account_id)s AND run.job_id = %(job_id)s
   AND (%(before)s::timestamptz IS NULL OR run.queued_at < %(before)s)
 ORDER BY run.queued_at DESC, run.id
 LIMIT %(limit)s;

-- name: log_of_run
-- The lines of a run's log, in order, after a given line.
SELECT run_log.line, run_log.at, run_log.level, run_log.message
  FROM run_log
  JOIN run ON run.id = run_log.run_id
 WHERE run.account_id = %(account_id)s AND run_log.run_id = %(id)s AND run_log.line > %(after)s
 ORDER BY run_log.line
 LIMIT %(limit)s;
