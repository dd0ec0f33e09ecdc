-- name: sealed_connections
-- across accounts: a new key is for all.
-- What is sealed in connections, held until the transaction ends.
SELECT id, sealed FROM connection ORDER BY id FOR UPDATE;

-- name: sealed_caches
-- across accounts: as above.
-- What is sealed in cache connections.
SELECT id, sealed FROM cache_connection ORDER BY id FOR UPDATE;

-- name: sealed_signing_keys
-- across accounts: as above.
-- What is sealed in our own keys.
SELECT id, sealed FROM signing_key ORDER BY id FOR UPDATE;

-- name: reseal_connection
-- across accounts: as above.
-- The same secret under the new key.
UPDATE connection SET sealed = %(sealed)s WHERE id = %(id)s;

-- name: reseal_cache
-- across accounts: as above.
-- The same secret under the new key.
UPDATE cache_connection SET sealed = %(sealed)s WHERE id = %(id)s;

-- name: reseal_signing_key
-- across accounts: as above.
-- The same secret under the new key.
UPDATE signing_key SET sealed = %(sealed)s WHERE id = %(id)s;

-- name: sealed_webhooks
-- across accounts: as above.
-- What is sealed in webhooks.
SELECT id, sealed FROM webhook ORDER BY id FOR UPDATE;

-- name: reseal_webhook
-- across accounts: as above.
-- The same secret under the new key.
UPDATE webhook SET sealed = %(sealed)s WHERE id = %(id)s;

-- name: sealed_drops
-- across accounts: as above.
-- What is sealed in the queue: addresses of caches in which tables are still to be dropped.
SELECT id, args ->> 'sealed' AS sealed, args ->> 'cache_id' AS cache_id
  FROM procrastinate_jobs
 WHERE task_name = 'drop_cached_table' AND status IN ('todo', 'doing')
 ORDER BY id
   FOR UPDATE;

-- name: reseal_drop
-- across accounts: as above.
-- The same secret under the new key.
UPDATE procrastinate_jobs
   SET args = jsonb_set(args, '{sealed}', to_jsonb(%(sealed)s::text))
 WHERE id = %(id)s;
