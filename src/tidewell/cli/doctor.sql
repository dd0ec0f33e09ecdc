-- What `tidewell doctor` asks of the state database.

-- name: now
-- The database's clock, to compare with ours, and its version.
SELECT clock_timestamp() AS now, current_setting('server_version') AS version;

-- name: vendors_without_key
-- Parent accounts whose tokens cannot be checked: no public key is in use.
SELECT count(*) AS parents, count(*) FILTER (WHERE NOT has_key) AS without_key
  FROM (SELECT EXISTS (SELECT FROM public_key
                        WHERE public_key.parent_id = parent_account.id
                          AND revoked_at IS NULL) AS has_key
          FROM parent_account) AS parents;

-- name: sealed_samples
-- Every credential of every kind, to see that our keys open them.
SELECT id, sealed FROM connection
 UNION ALL SELECT id, sealed FROM cache_connection
 UNION ALL SELECT id, sealed FROM signing_key
 UNION ALL SELECT id, sealed FROM webhook;

-- name: caches
-- The cache connections, still sealed; those of the busiest accounts first.
SELECT cache_connection.id, cache_connection.account_id, cache_connection.sealed
  FROM cache_connection
 ORDER BY (SELECT count(*) FROM job WHERE job.account_id = cache_connection.account_id) DESC
 LIMIT %(limit)s;

-- name: workers
-- Workers that have beaten lately.
SELECT count(*) AS alive
  FROM procrastinate_workers
 WHERE last_heartbeat > clock_timestamp() - make_interval(secs => %(seconds)s);

-- name: overdue
-- Jobs whose time has come and gone: nobody ticks.
SELECT count(*) AS overdue, min(next_run_at) AS since
  FROM job
 WHERE enabled AND next_run_at < clock_timestamp() - make_interval(secs => %(seconds)s);

-- name: waiting
-- Runs that wait for a worker, and since when the oldest does.
SELECT count(*) AS waiting, min(queued_at) AS since
  FROM run
 WHERE state = 'queued';
