-- name: make_due
-- So many jobs of one account are due now.
UPDATE job SET anchor_at = now(), next_run_at = now()
 WHERE id IN (SELECT id FROM job WHERE account_id = %(account_id)s LIMIT %(count)s);

-- name: put_off
-- None of them is due any more, and nothing waits.
WITH gone AS (DELETE FROM run WHERE account_id = %(account_id)s)
UPDATE job SET next_run_at = now() + interval '27 days' WHERE account_id = %(account_id)s;

-- name: clear_queue
DELETE FROM procrastinate_jobs;

-- name: sizes
-- Bytes of a job with its indexes, and jobs there are.
SELECT (SELECT count(*) FROM job),
       pg_total_relation_size('job') / (SELECT count(*) FROM job),
       pg_database_size(current_database()) / 1048576;

-- name: one_of_crowd
-- An account of the crowd.
SELECT account_id FROM job WHERE account_id <> %(account_id)s LIMIT 1;

-- name: delays
-- Seconds from the due time to the start of runs by schedule.
SELECT extract(epoch FROM run.started_at - job.anchor_at)::float
  FROM run JOIN job ON job.id = run.job_id
 WHERE run.cause = 'schedule' AND run.started_at IS NOT NULL AND run.account_id = %(account_id)s;
