-- What `/metrics` asks of the state database, over all accounts: figures only, no account's data.

-- name: jobs_by_kind
-- across accounts: figures of the whole service.
-- How many jobs there are.
SELECT job_type, enabled, count(*) AS jobs FROM job GROUP BY job_type, enabled;

-- name: active_runs
-- across accounts: as above.
-- Runs that wait or work, and for how many seconds the oldest has waited.
SELECT state, count(*) AS runs,
       coalesce(extract(epoch FROM %(now)s - min(queued_at)), 0)::float8 AS oldest_seconds
  FROM run
 WHERE state IN ('queued', 'running')
 GROUP BY state;

-- name: queue
-- across accounts: as above.
-- Work in the queue, and workers that have beaten lately.
SELECT (SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo') AS waiting,
       (SELECT count(*) FROM procrastinate_workers
         WHERE last_heartbeat > %(now)s - interval '30 seconds') AS workers;

-- name: late_jobs
-- across accounts: as above.
-- Jobs that should have been queued, and by how many seconds the latest is late.
SELECT count(*) AS jobs,
       coalesce(extract(epoch FROM %(now)s - min(next_run_at)), 0)::float8 AS most_seconds
  FROM job
 WHERE enabled AND next_run_at < %(now)s;

-- name: stalest_jobs
-- across accounts: as above; a job's id tells nothing of whose it is.
-- Age of the data of the jobs that are due next or overdue: a bounded set, the stalest first.
SELECT due.id::text AS job_id,
       extract(epoch FROM %(now)s - latest.finished_at)::float8 AS seconds
  FROM (SELECT id FROM job
         WHERE enabled AND next_run_at IS NOT NULL
         ORDER BY next_run_at
         LIMIT %(scanned)s) AS due
 CROSS JOIN LATERAL (
       SELECT finished_at
         FROM run
        WHERE run.job_id = due.id AND run.state = 'success'
        ORDER BY queued_at DESC
        LIMIT 1) AS latest
 ORDER BY seconds DESC
 LIMIT %(limit)s;
