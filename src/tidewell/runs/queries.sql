-- name: insert_run
-- Queue a run of a job, unless the job has an active one: then nothing is inserted. Its turn is
-- the second it came in, or one after the account's last: an account that queues many at once
-- does not hold up the others. A job's newest run is the one that was queued last, also where the
-- clock that queued the one before ran ahead of ours.
INSERT INTO run (id, account_id, job_id, state, cause, queued_at, changed_at, reason, turn)
SELECT %(id)s, job.account_id, job.id, 'queued', %(cause)s,
       greatest(%(now)s::timestamptz,
                (SELECT max(queued_at) + interval '1 millisecond'
                   FROM run
                  WHERE run.job_id = job.id)),
       %(now)s, %(reason)s,
       greatest(extract(epoch FROM %(now)s::timestamptz - '2020-01-01T00:00Z')::integer,
                (SELECT max(turn) + 1
                   FROM run
                  WHERE account_id = %(account_id)s
                    AND state IN ('queued', 'running', 'retrying')))
  FROM job
 WHERE job.account_id = %(account_id)s AND job.id = %(job_id)s
    ON CONFLICT (job_id) WHERE state IN ('queued', 'running', 'retrying') DO NOTHING
RETURNING id;

-- name: active_run
-- The job's active run, if there is one, held against changes.
SELECT id, state, attempt, unsettled, queue_id, turn, stop_requested_at
  FROM run
 WHERE account_id = %(account_id)s AND job_id = %(job_id)s
   AND state IN ('queued', 'running', 'retrying')
   FOR UPDATE;

-- name: turn_of_run
-- Its place among all accounts' runs.
SELECT turn FROM run WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: set_queue_id
-- Which job of the queue carries a run.
UPDATE run SET queue_id = %(queue_id)s WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: cancel_in_queue
-- across accounts: the queue has no accounts; the caller holds the run's own row.
-- Take a waiting job out of the queue, or tell the worker that executes it to end it.
SELECT procrastinate_cancel_job_v1(%(queue_id)s, true, true) AS id;

-- name: next_of_queue
-- across accounts: the queue has no accounts.
-- The next job that a worker may have, as being executed; a row of NULLs where there is none.
SELECT * FROM procrastinate_fetch_job_v2(%(queues)s::varchar[], %(worker_id)s);

-- name: remove_from_queue
-- across accounts: the queue has no accounts; the caller holds the run's own row.
-- What carried a run does so no more.
DELETE FROM procrastinate_jobs WHERE id = %(queue_id)s;

-- name: request_stop
-- Note that somebody wants this run to end.
UPDATE run
   SET stop_requested_at = coalesce(stop_requested_at, %(now)s)
 WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: stop_waiting
-- End a run that waits, and of which no attempt can have committed.
UPDATE run
   SET state = 'stopped', finished_at = %(now)s, changed_at = %(now)s, reason = %(reason)s,
       retry_at = NULL
 WHERE account_id = %(account_id)s AND id = %(id)s AND state IN ('queued', 'retrying');

-- name: claim_run
-- across accounts: a worker executes what the queue hands it; the row then tells the account.
-- Take a run into execution, with the next attempt number, and tell what is needed for it: job,
-- connection and cache connection, still sealed. One that has ended, or that another job of the
-- queue carries by now, is not taken.
-- The number also rises with the time (milliseconds since 2025): the caches remember it, and a
-- state database that was restored from a backup would otherwise count what they have seen already.
WITH claimed AS (
UPDATE run
   SET state = 'running', attempts = attempts + 1,
       attempt = setval('attempt_number', greatest(
           nextval('attempt_number'),
           (extract(epoch FROM clock_timestamp() - timestamptz '2025-01-01T00:00Z') * 1000)::bigint)),
       started_at = coalesce(started_at, %(now)s), changed_at = %(now)s, reason = %(reason)s,
       beat_at = clock_timestamp(), rows_read = 0, bytes_copied = 0
 WHERE id = %(id)s AND queue_id = %(queue_id)s AND state = ANY(%(from_states)s)
   AND stop_requested_at IS NULL
RETURNING account_id, job_id, queue_id, attempt, attempts, failures, started_at, unsettled
)
SELECT claimed.*, job.job_type, job.name AS job_name,
       job.log_verbosity, job.params, job.source_schema, job.source_table, job.cache_schema,
       job.cache_table, job.reload,
       greatest(job.modified_at, connection.modified_at, cache_connection.modified_at) AS settings_at,
       job.connection_ids,
       connection.id AS connection_id, connection.name AS connection_name, connection.driver,
       connection.sealed AS connection_sealed,
       cache_connection.id AS cache_id, cache_connection.sealed AS cache_sealed
  FROM claimed
  JOIN job ON job.id = claimed.job_id AND job.account_id = claimed.account_id
  LEFT JOIN connection ON connection.id = job.connection_id
                      AND connection.account_id = job.account_id
  LEFT JOIN cache_connection ON cache_connection.account_id = job.account_id;

-- name: next_attempt
-- across accounts: one sequence counts for all of them.
-- A number above those of all attempts that have begun, as the next one would get it.
SELECT setval('attempt_number', greatest(
           nextval('attempt_number'),
           (extract(epoch FROM clock_timestamp() - timestamptz '2025-01-01T00:00Z') * 1000)::bigint)) AS attempt;

-- name: beat
-- across accounts: a worker's runs belong to many.
-- The sign of life for all runs that a worker executes; one that does not come back is no longer
-- this worker's.
UPDATE run
   SET beat_at = clock_timestamp()
  FROM unnest(%(ids)s::uuid[], %(attempts)s::bigint[]) AS mine (id, attempt)
 WHERE run.id = mine.id AND run.attempt = mine.attempt AND run.state = 'running'
RETURNING run.id, run.stop_requested_at IS NOT NULL AS stop_requested;

-- name: run_task
-- The same for a run whose worker is gone.
SELECT job.id AS job_id, job.job_type, job.name AS job_name, job.log_verbosity, job.params, job.source_schema,
       job.source_table, job.cache_schema, job.cache_table, job.reload,
       job.connection_ids,
       connection.id AS connection_id, connection.name AS connection_name, connection.driver,
       connection.sealed AS connection_sealed,
       cache_connection.id AS cache_id, cache_connection.sealed AS cache_sealed
  FROM job
  LEFT JOIN connection ON connection.id = job.connection_id
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
-- The end of a run, told by its newest attempt only, from where it may come to this end; what carried it leaves the queue. Tells whether
-- anybody wants to hear of it.
WITH ended AS (
UPDATE run
   SET state = %(state)s, finished_at = %(now)s, changed_at = %(now)s, reason = %(reason)s,
       rows_read = %(rows_read)s, bytes_copied = %(bytes_copied)s,
       rows_affected = %(rows_affected)s, receipt = %(receipt)s, error_code = %(error_code)s,
       error_message = %(error_message)s
 WHERE account_id = %(account_id)s AND id = %(id)s AND attempt = %(attempt)s
   AND state = ANY(%(from_states)s)
   AND (state = 'running' OR stop_requested_at IS NOT NULL)
RETURNING account_id, queue_id, started_at
), carried AS (
DELETE FROM procrastinate_jobs USING ended WHERE procrastinate_jobs.id = ended.queue_id
)
SELECT started_at,
       EXISTS (SELECT FROM webhook
                WHERE webhook.account_id = ended.account_id AND enabled) AS is_told
  FROM ended;

-- name: retry_run
-- An attempt failed for a passing reason: there is another one at its time, unless a stop came.
UPDATE run
   SET state = 'retrying', retry_at = %(retry_at)s, failures = failures + 1, changed_at = %(now)s,
       reason = %(reason)s, unsettled = unsettled OR %(unsettled)s
 WHERE account_id = %(account_id)s AND id = %(id)s AND attempt = %(attempt)s
   AND state = 'running' AND stop_requested_at IS NULL
RETURNING id;

-- name: due_retries
-- across accounts: the ticker serves all of them.
-- Runs whose next try has come, locked so that no other ticker takes them.
SELECT id, account_id, job_id
  FROM run
 WHERE state = 'retrying' AND retry_at <= %(now)s AND stop_requested_at IS NULL
 ORDER BY retry_at
 LIMIT %(limit)s
   FOR UPDATE SKIP LOCKED;

-- name: requeue_run
-- Into the queue again: a retry whose time has come, a run handed back, or one whose worker died.
UPDATE run
   SET state = 'queued', changed_at = %(now)s, reason = %(reason)s, retry_at = NULL,
       recoveries = recoveries + %(recoveries)s, unsettled = unsettled OR %(unsettled)s
 WHERE account_id = %(account_id)s AND id = %(id)s AND state = ANY(%(from_states)s)
   AND attempt IS NOT DISTINCT FROM coalesce(%(attempt)s::bigint, attempt)
RETURNING id;

-- name: lost_runs
-- across accounts: the sweeper serves all of them.
-- Running ones without a sign of life, waiting ones that shall end and that nobody asks the cache
-- about, and queued ones that nothing carries: either no job of the queue, or one that a worker
-- fetched and did not begin with.
SELECT run.id, run.account_id, run.job_id, run.state, run.attempt, run.queue_id, run.recoveries,
       run.stop_requested_at
  FROM run
 WHERE ((run.state = 'running'
         OR (run.state IN ('queued', 'retrying') AND run.stop_requested_at IS NOT NULL))
        AND coalesce(run.beat_at, run.changed_at, run.started_at)
            < clock_timestamp() - make_interval(secs => %(dead_after)s))
    OR (run.state = 'queued' AND run.stop_requested_at IS NULL
        AND NOT EXISTS (
            SELECT FROM procrastinate_jobs AS queued
             WHERE queued.id = run.queue_id
               AND (queued.status = 'todo'
                    OR (queued.status = 'doing'
                        AND NOT EXISTS (
                            SELECT FROM procrastinate_events AS event
                             WHERE event.job_id = queued.id AND event.type = 'started'
                               AND event.at < now() - make_interval(secs => %(dead_after)s))))))
 ORDER BY run.queued_at
 LIMIT %(limit)s
   FOR UPDATE OF run SKIP LOCKED;

-- name: take_over
-- A lost run gets the number under which it is settled, and the time for that: its worker, should it
-- wake up, has an older one.
UPDATE run
   SET attempt = setval('attempt_number', greatest(
           nextval('attempt_number'),
           (extract(epoch FROM clock_timestamp() - timestamptz '2025-01-01T00:00Z') * 1000)::bigint)),
       beat_at = clock_timestamp()
 WHERE account_id = %(account_id)s AND id = %(id)s AND state = 'running'
RETURNING account_id, job_id, queue_id, attempt, attempts, failures, started_at, unsettled;

-- name: take_waiting
-- The same for a run that waits for its next attempt and shall not have one.
UPDATE run
   SET attempt = setval('attempt_number', greatest(
           nextval('attempt_number'),
           (extract(epoch FROM clock_timestamp() - timestamptz '2025-01-01T00:00Z') * 1000)::bigint)),
       beat_at = clock_timestamp()
 WHERE account_id = %(account_id)s AND id = %(id)s AND state IN ('queued', 'retrying')
   AND unsettled AND stop_requested_at IS NOT NULL
RETURNING account_id, job_id, queue_id, attempt, attempts, failures, started_at, unsettled;

-- name: end_lost
-- A lost run that is not tried again.
UPDATE run
   SET state = %(state)s, finished_at = %(now)s, changed_at = %(now)s, reason = %(reason)s,
       error_code = %(error_code)s, error_message = %(error_message)s
 WHERE account_id = %(account_id)s AND id = %(id)s AND state IN ('queued', 'running');

-- name: free_lanes
-- across accounts: the sweeper serves all of them.
-- Jobs of the queue that are marked as being executed while their run has ended, has another
-- carrier, or is gone: their worker could not take them out, and they would hold their lane.
DELETE FROM procrastinate_jobs AS queued
 WHERE queued.task_name = %(task)s AND queued.status = 'doing'
   AND EXISTS (SELECT FROM procrastinate_events AS event
                WHERE event.job_id = queued.id AND event.type = 'started'
                  AND event.at < now() - make_interval(secs => %(dead_after)s))
   AND NOT EXISTS (SELECT FROM run
                    WHERE run.id = (queued.args ->> 'run_id')::uuid
                      AND run.queue_id = queued.id
                      AND (run.state IN ('queued', 'running')
                           OR run.changed_at > now() - make_interval(secs => %(dead_after)s)));

-- name: changes_of_run
-- Every change of a run's state, in order.
SELECT change.at, change.from_state, change.to_state, change.attempt, change.reason
  FROM run_change AS change
  JOIN run ON run.id = change.run_id
 WHERE run.account_id = %(account_id)s AND run.id = %(id)s
 ORDER BY change.change;

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
