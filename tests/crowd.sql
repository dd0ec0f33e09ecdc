-- Many other accounts, for what must not depend on them.

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
