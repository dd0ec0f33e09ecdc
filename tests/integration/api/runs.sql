-- name: add_jobs
-- Jobs of the one account over its one connection.
INSERT INTO job (id, account_id, connection_id, job_type, name, enabled, interval_unit,
                 interval_value, log_verbosity, anchor_at, next_run_at, params, source_schema,
                 source_table, cache_schema, cache_table, created_at, modified_at)
SELECT gen_random_uuid(), connection.account_id, connection.id, 'Caching', 'T' || number,
       number %% 3 > 0, 'Hour', 1, 1, %(now)s, CASE WHEN number %% 2 > 0 THEN %(now)s END,
       json_build_object('b', number, 'a', 'é'), 'Files', 'T' || number || gen_random_uuid(),
       NULL, NULL, %(now)s::timestamptz + number * interval '1 s', %(now)s
  FROM connection
 CROSS JOIN generate_series(0, %(count)s - 1) AS number
RETURNING id;

-- name: add_run
-- A run of a job.
INSERT INTO run (id, account_id, job_id, state, cause, queued_at, started_at, finished_at,
                 rows_affected)
SELECT gen_random_uuid(), account_id, id, %(state)s, 'request', now(), %(started)s, %(finished)s, 7
  FROM job
 WHERE id = %(job_id)s;
