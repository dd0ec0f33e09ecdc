-- name: add_crowd
-- So many accounts, each with a connection and so many jobs that are not due within the month.
WITH many AS (
    INSERT INTO account (id, parent_id, external_id, name, created_at)
    SELECT gen_random_uuid(), %(parent_id)s, NULL, 'Crowd', now()
      FROM generate_series(1, %(accounts)s)
    RETURNING id),
     office AS (
    INSERT INTO connection (id, account_id, name, driver, sealed, created_at, modified_at)
    SELECT gen_random_uuid(), many.id, 'Office', 'Files', '', now(), now() FROM many
    RETURNING id, account_id)
INSERT INTO job (id, account_id, connection_id, job_type, name, enabled, interval_unit,
                 interval_value, log_verbosity, anchor_at, next_run_at, params, source_schema,
                 source_table, cache_schema, cache_table, created_at, modified_at)
SELECT gen_random_uuid(), office.account_id, office.id, 'Caching', 'Table ' || number,
       true, 'Month', 1, 1, now(), now() + interval '27 days' + number * interval '1 second',
       json_build_object('timeCheckColumn', '', 'autoTruncateStrings', 'false',
                         'sourceConnection', office.id, 'sourceName', 'Office',
                         'sourceSchema', 'Files', 'sourceTable', 'table' || number),
       'Files', 'table' || number, 'Office', 'table' || number, now(), now()
  FROM office CROSS JOIN generate_series(1, %(jobs)s) AS number;

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
