-- name: add_accounts
-- Customers of a vendor.
INSERT INTO account (id, parent_id, name, created_at)
SELECT id, %(parent_id)s, 'Customer', now() FROM unnest(%(ids)s::uuid[]) AS id;

-- name: add_caches
-- The cache connection of each account; what is sealed is bound to its row.
INSERT INTO cache_connection (id, account_id, sealed, is_tested, created_at, modified_at)
SELECT id, account_id, sealed, true, now(), now()
  FROM unnest(%(rows)s::uuid[], %(ids)s::uuid[], %(sealed)s::text[]) AS one (id, account_id, sealed);

-- name: add_connections
-- A connection of each account, sealed in the same way.
INSERT INTO connection (id, account_id, name, driver, sealed, is_tested, created_at, modified_at)
SELECT id, account_id, 'Office', 'Files', sealed, true, now(), now()
  FROM unnest(%(rows)s::uuid[], %(ids)s::uuid[], %(sealed)s::text[]) AS one (id, account_id, sealed);

-- name: add_jobs
-- Jobs of every account of a vendor, each over its account's first connection, with two runs.
WITH made AS (
    INSERT INTO job (id, account_id, connection_id, job_type, name, enabled, interval_unit,
                     interval_value, log_verbosity, anchor_at, next_run_at, params, source_schema,
                     source_table, cache_schema, cache_table, created_at, modified_at)
    SELECT gen_random_uuid(), connection.account_id, connection.id, 'Caching', 'Table ' || number,
           true, 'Hour', 1, 1, now(), now() + interval '30 days',
           json_build_object('timeCheckColumn', 'UpdatedAt', 'autoTruncateStrings', 'false',
                             'sourceConnection', connection.id, 'sourceName', connection.name,
                             'sourceSchema', 'Files', 'sourceTable', 'Table ' || number),
           'Files', 'Table ' || number, connection.name, 'Table ' || number, now(), now()
      FROM connection
      JOIN account ON account.id = connection.account_id
     CROSS JOIN generate_series(1, %(jobs)s) AS number
     WHERE account.parent_id = %(parent_id)s
    RETURNING id, account_id
)
INSERT INTO run (id, account_id, job_id, state, cause, queued_at, started_at, finished_at,
                 rows_affected)
SELECT gen_random_uuid(), made.account_id, made.id, 'success', 'schedule',
       now() - back * interval '1 hour', now() - back * interval '1 hour',
       now() - back * interval '1 hour' + interval '3 s', 42
  FROM made
 CROSS JOIN generate_series(1, 2) AS back;

-- name: analyze
ANALYZE;
