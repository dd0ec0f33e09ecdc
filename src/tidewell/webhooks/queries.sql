-- Webhooks of a sub-account, and what has been and has to be delivered to them.

-- name: insert_webhook
-- A new webhook; its secret is sealed.
INSERT INTO webhook (id, account_id, url, events, sealed, enabled, created_at, modified_at)
VALUES (%(id)s, %(account_id)s, %(url)s, %(events)s, %(sealed)s, %(enabled)s, %(now)s, %(now)s)
RETURNING *;

-- name: update_webhook
-- Another address, other events, on or off; without a sealed secret the old one stays.
UPDATE webhook
   SET url = %(url)s, events = %(events)s, enabled = %(enabled)s, modified_at = %(now)s,
       sealed = coalesce(%(sealed)s, sealed)
 WHERE account_id = %(account_id)s AND id = %(id)s
RETURNING *;

-- name: webhooks
-- The account's webhooks, oldest first.
SELECT * FROM webhook WHERE account_id = %(account_id)s ORDER BY created_at, id;

-- name: webhook
-- One of them.
SELECT * FROM webhook WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: delete_webhook
-- Forget a webhook, and what was to be delivered to it.
DELETE FROM webhook WHERE account_id = %(account_id)s AND id = %(id)s RETURNING url;

-- name: count_webhooks
-- How many there are; the account's row is held, so that two do not pass the limit together.
SELECT (SELECT count(*) FROM webhook WHERE webhook.account_id = account.id) AS webhooks
  FROM account
 WHERE id = %(account_id)s
   FOR UPDATE;

-- name: ended_run
-- A run that has ended, with its job and how the run before it ended, if anybody wants to be told.
SELECT run.id, run.account_id, run.job_id, run.state, run.started_at, run.finished_at,
       run.rows_read, run.rows_affected, run.receipt, run.error_code, run.error_message, job.name,
       (SELECT earlier.state
          FROM run AS earlier
         WHERE earlier.job_id = run.job_id AND earlier.id <> run.id
           AND earlier.state IN ('success', 'failed') AND earlier.queued_at <= run.queued_at
         ORDER BY earlier.queued_at DESC
         LIMIT 1) AS state_before
  FROM run
  JOIN job ON job.id = run.job_id
 WHERE run.account_id = %(account_id)s AND run.id = %(run_id)s
   AND EXISTS (SELECT FROM webhook WHERE webhook.account_id = run.account_id AND enabled);

-- name: insert_deliveries
-- An event, for each webhook that wants it.
INSERT INTO webhook_delivery (id, webhook_id, account_id, event, payload, created_at,
                              next_attempt_at)
SELECT gen_random_uuid(), webhook.id, webhook.account_id, %(event)s, %(payload)s, %(now)s, %(now)s
  FROM webhook
 WHERE webhook.account_id = %(account_id)s AND webhook.enabled
   AND (webhook.events = '{}' OR %(event)s = ANY (webhook.events));

-- name: insert_delivery
-- An event for one webhook, whatever it wants to be told.
INSERT INTO webhook_delivery (id, webhook_id, account_id, event, payload, created_at,
                              next_attempt_at)
VALUES (%(id)s, %(webhook_id)s, %(account_id)s, %(event)s, %(payload)s, %(now)s, %(now)s);

-- name: deliveries
-- The deliveries of a webhook, newest first.
SELECT *
  FROM webhook_delivery
 WHERE account_id = %(account_id)s AND webhook_id = %(webhook_id)s
 ORDER BY created_at DESC, id
 LIMIT %(limit)s;

-- name: due_deliveries
-- across accounts: one sender serves all of them.
-- Take deliveries whose time has come: nobody else takes them until the lease is over. No more than
-- some of each account, and none of those that are busy.
WITH due AS (
    SELECT id, next_attempt_at,
           row_number() OVER (PARTITION BY account_id ORDER BY next_attempt_at) AS nth
      FROM webhook_delivery
     WHERE next_attempt_at <= %(now)s AND account_id <> ALL (%(busy)s::uuid[])
)
UPDATE webhook_delivery
   SET next_attempt_at = %(lease)s, attempts = attempts + 1
 WHERE id IN (SELECT id
                FROM webhook_delivery
               WHERE id IN (SELECT id FROM due WHERE nth <= %(most)s
                             ORDER BY next_attempt_at LIMIT %(limit)s)
                 AND next_attempt_at <= %(now)s
                 FOR UPDATE SKIP LOCKED)
RETURNING id, account_id, webhook_id, payload::text AS payload, attempts,
          (SELECT url FROM webhook WHERE webhook.id = webhook_id) AS url,
          (SELECT sealed FROM webhook WHERE webhook.id = webhook_id) AS sealed;

-- name: note_delivery
-- What came of an attempt; without a next time there is none any more.
UPDATE webhook_delivery
   SET status = %(status)s, error = %(error)s, next_attempt_at = %(next)s,
       delivered_at = %(delivered_at)s
 WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: late_jobs
-- across accounts: one sender serves all of them.
-- Jobs that somebody wants to be told of, whose data is older than twice their interval, and that
-- have not been told of since it was fresh.
SELECT job.id, job.account_id, job.name, job.interval_unit, job.interval_value,
       coalesce(latest.finished_at, job.created_at) AS fresh_at
  FROM (SELECT DISTINCT account_id
          FROM webhook
         WHERE enabled AND (events = '{}' OR 'job.late' = ANY (events))) AS asking
  JOIN job ON job.account_id = asking.account_id
  LEFT JOIN LATERAL (
       SELECT finished_at
         FROM run
        WHERE run.job_id = job.id AND run.state = 'success'
        ORDER BY queued_at DESC
        LIMIT 1) AS latest ON true
 WHERE job.enabled
   AND coalesce(latest.finished_at, job.created_at)
       + 2 * job.interval_value * ('1 ' || job.interval_unit)::interval < %(now)s
   AND (job.late_told_at IS NULL
        OR job.late_told_at < coalesce(latest.finished_at, job.created_at))
 LIMIT %(limit)s
   FOR NO KEY UPDATE OF job SKIP LOCKED;

-- name: note_late
-- It has been told.
UPDATE job SET late_told_at = %(now)s WHERE account_id = %(account_id)s AND id = %(job_id)s;

-- name: forget_deliveries
-- across accounts: what is old is forgotten for all of them.
-- Deliveries that are over and older than they have to be kept, up to a number of them.
DELETE FROM webhook_delivery
 WHERE id = ANY (ARRAY(SELECT id
                         FROM webhook_delivery
                        WHERE created_at < %(before)s AND next_attempt_at IS NULL
                        LIMIT %(limit)s));
