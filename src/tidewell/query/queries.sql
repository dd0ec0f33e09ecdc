-- What a query needs of the state database.

-- name: connections
-- The account's connections, still sealed; only those that a token is narrowed to.
SELECT id, name, driver, sealed
  FROM connection
 WHERE account_id = %(account_id)s
   AND (%(connection_ids)s::uuid[] IS NULL OR id = ANY (%(connection_ids)s))
 ORDER BY created_at, id;

-- name: cache
-- The account's cache connection, still sealed.
SELECT id, sealed FROM cache_connection WHERE account_id = %(account_id)s;

-- name: copies
-- The account's cached tables that queries read: of enabled jobs that have succeeded once and are
-- not to be loaded anew. The rows are of the time when their last successful run started.
SELECT job.connection_id, job.source_schema, job.source_table, job.cache_schema, job.cache_table,
       latest.started_at AS refreshed_at
  FROM job
  JOIN LATERAL (
       SELECT started_at
         FROM run
        WHERE run.job_id = job.id AND run.state = 'success'
        ORDER BY queued_at DESC
        LIMIT 1) AS latest ON true
 WHERE job.account_id = %(account_id)s AND job.job_type = 'Caching' AND job.enabled
   AND NOT job.reload
   AND (%(connection_ids)s::uuid[] IS NULL OR job.connection_id = ANY (%(connection_ids)s));

-- name: insert_log
-- What a query was, and how it ended.
INSERT INTO query_log (id, account_id, at, milliseconds, query, credential, drivers,
                       rows_returned, error_code, error_message, user_agent)
VALUES (%(id)s, %(account_id)s, %(at)s, %(milliseconds)s, %(query)s, %(credential)s, %(drivers)s,
        %(rows_returned)s, %(error_code)s, %(error_message)s, %(user_agent)s);

-- name: list_log
-- Queries and runs of the account, newest first; the type codes are the reference's.
SELECT *
  FROM (
       SELECT id, at, milliseconds, query, credential, drivers, rows_returned,
              -1::bigint AS rows_affected, error_code, error_message, user_agent,
              200 AS type, 1 AS verbosity, NULL::uuid AS connection_id,
              NULL::uuid[] AS connection_ids
         FROM query_log
        WHERE account_id = %(account_id)s AND at >= %(since)s AND at <= %(until)s
        UNION ALL
       SELECT run.id, coalesce(run.started_at, run.queued_at),
              coalesce(extract(epoch FROM run.finished_at - run.started_at) * 1000, 0)::bigint,
              coalesce(job.params ->> 'query',
                       concat_ws('.', connection.name, job.source_schema, job.source_table)),
              job.name, coalesce(connection.driver, ''), run.rows_read, run.rows_affected,
              run.error_code, run.error_message, '',
              CASE job.job_type WHEN 'Caching' THEN 204 ELSE 205 END, job.log_verbosity,
              job.connection_id, job.connection_ids
         FROM run
         JOIN job ON job.id = run.job_id
         LEFT JOIN connection
           ON connection.id = job.connection_id AND connection.account_id = %(account_id)s
        WHERE run.account_id = %(account_id)s
          AND run.state IN ('success', 'failed', 'stopped')
          AND coalesce(run.started_at, run.queued_at) >= %(since)s
          AND coalesce(run.started_at, run.queued_at) <= %(until)s
       ) AS entry
 WHERE (%(type)s::integer IS NULL OR type = %(type)s)
   AND (%(id)s::uuid IS NULL OR id = %(id)s)
   AND (%(connection_ids)s::uuid[] IS NULL
        OR coalesce(connection_id = ANY (%(connection_ids)s),
                    connection_ids <@ %(connection_ids)s))
 ORDER BY at DESC, id
 LIMIT %(limit)s;

-- name: forget_log
-- across accounts: the same age for all.
-- Queries that are older than they have to be kept, up to a number of them.
DELETE FROM query_log
 WHERE id = ANY (ARRAY(SELECT id FROM query_log WHERE at < %(before)s LIMIT %(limit)s));
