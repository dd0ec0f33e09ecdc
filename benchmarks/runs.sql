-- name: add_jobs
-- So many jobs for each account of a vendor, over its connection of that name; none is due soon.
INSERT INTO job (id, account_id, connection_id, job_type, name, enabled, interval_unit,
                 interval_value, log_verbosity, anchor_at, next_run_at, params, source_schema,
                 source_table, cache_schema, cache_table, created_at, modified_at)
SELECT gen_random_uuid(), connection.account_id, connection.id, 'Caching', 'Table ' || number,
       true, 'Hour', 1, 1, now(), now() + interval '30 days',
       json_build_object('timeCheckColumn', '', 'autoTruncateStrings', 'false',
                         'sourceConnection', connection.id, 'sourceName', connection.name,
                         'sourceSchema', 'Files', 'sourceTable', 'small' || number),
       'Files', 'small' || number, connection.account_id::text, 'small' || number, now(), now()
  FROM connection
  JOIN account ON account.id = connection.account_id
 CROSS JOIN generate_series(1, %(jobs)s) AS number
 WHERE account.parent_id = %(parent_id)s AND connection.name = 'Office';

-- name: jobs
SELECT id, account_id FROM job ORDER BY source_table, account_id LIMIT %(count)s;

-- name: forget_jobs
TRUNCATE job CASCADE;

-- name: forget_queue
TRUNCATE procrastinate_jobs CASCADE;

-- name: forget_runs
TRUNCATE run CASCADE;

-- name: open_runs
SELECT count(*) FROM run WHERE state IN ('queued', 'running', 'retrying');

-- name: ended_runs
-- How many were a success, and the seconds from the end of the first tenth of them, when all
-- processes have started, to the last end.
SELECT count(*),
       extract(epoch FROM max(finished_at)
                        - percentile_disc(0.1) WITHIN GROUP (ORDER BY finished_at))::float
  FROM run
 WHERE state = 'success';

-- name: make_due
-- The first so many jobs are due within a minute that begins in so many seconds.
UPDATE job
   SET anchor_at = due.at, next_run_at = due.at
  FROM (SELECT id, now() + make_interval(secs => %(after)s)
                   + (row_number() OVER (ORDER BY source_table, account_id) - 1)
                     * interval '1 minute' / %(count)s AS at
          FROM job
         ORDER BY source_table, account_id
         LIMIT %(count)s) AS due
 WHERE job.id = due.id;

-- name: delays
-- Seconds from the due time to the queue, and to the start.
SELECT extract(epoch FROM run.queued_at - job.anchor_at)::float,
       extract(epoch FROM run.started_at - job.anchor_at)::float
  FROM run
  JOIN job ON job.id = run.job_id
 WHERE run.cause = 'schedule' AND run.started_at IS NOT NULL;

-- name: queue_left
SELECT count(*) FROM procrastinate_jobs WHERE status <> 'succeeded';

-- name: queue_seconds
-- The same of Procrastinate.
SELECT extract(epoch FROM max(at) - percentile_disc(0.1) WITHIN GROUP (ORDER BY at))::float
  FROM procrastinate_events
 WHERE type = 'succeeded';

-- name: analyze
ANALYZE;
