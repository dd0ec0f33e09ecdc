-- name: copies
-- Copies of the customer's only job, for each table, due each minute, spread over it.
INSERT INTO job (id, account_id, connection_id, job_type, name, enabled, interval_unit,
                 interval_value, log_verbosity, anchor_at, next_run_at, params, source_schema,
                 source_table, cache_schema, cache_table, created_at, modified_at)
SELECT gen_random_uuid(), account_id, connection_id, job_type, 'table' || number, true, 'Minute',
       1, 1, due.at, due.at,
       jsonb_set(params::jsonb, '{sourceTable}', to_jsonb('table' || number))::json,
       source_schema, 'table' || number, cache_schema, 'table' || number, now(), now()
  FROM job,
       generate_series(2, %(count)s) AS number,
       LATERAL (SELECT now() + number * interval '60 seconds' / %(count)s AS at) AS due;

-- name: sample
-- Connections to the server; rows that are dead, and bytes, of the tables that change all the time;
-- runs of the last minute, by how they ended, and how late the youngest of them began.
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
       (SELECT sum(n_dead_tup) FROM pg_stat_user_tables
         WHERE relname IN ('job', 'run', 'procrastinate_jobs', 'procrastinate_events')),
       pg_total_relation_size('procrastinate_jobs') + pg_total_relation_size('job'),
       count(*) FILTER (WHERE state = 'success'),
       count(*) FILTER (WHERE state <> 'success'),
       coalesce(percentile_disc(0.99) WITHIN GROUP (
           ORDER BY extract(epoch FROM started_at - queued_at)), 0)::float
  FROM run
 WHERE finished_at > now() - interval '1 minute';
