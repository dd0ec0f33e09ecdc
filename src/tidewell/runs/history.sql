-- name: recent_runs
-- The newest runs of some jobs, newest first within each job.
SELECT newest.*
  FROM job
 CROSS JOIN LATERAL (
       SELECT run.*
         FROM run
        WHERE run.job_id = job.id
        ORDER BY run.queued_at DESC, run.id
        LIMIT %(limit)s) AS newest
 WHERE job.account_id = %(account_id)s AND job.id = ANY (%(job_ids)s)
 ORDER BY newest.job_id, newest.queued_at DESC, newest.id;

-- name: last_successes
-- When the run began that each job of the account last succeeded with: its rows are of that time.
SELECT job.id AS job_id, newest.started_at
  FROM job
 CROSS JOIN LATERAL (
       SELECT run.started_at
         FROM run
        WHERE run.job_id = job.id AND run.state = 'success'
        ORDER BY run.queued_at DESC, run.id
        LIMIT 1) AS newest
 WHERE job.account_id = %(account_id)s;

-- name: active_runs
-- The runs of the account that wait or work, perhaps only those of some connections.
SELECT run.*
  FROM run
  JOIN job ON job.id = run.job_id
 WHERE run.account_id = %(account_id)s AND run.state IN ('queued', 'running', 'retrying')
   AND (%(connection_ids)s::uuid[] IS NULL
        OR coalesce(job.connection_id = ANY (%(connection_ids)s),
                    job.connection_ids <@ %(connection_ids)s))
 ORDER BY run.id;

-- name: last_change
-- Changes when a job of the account is made, changed or deleted.
SELECT count(*) AS jobs, max(modified_at) AS modified_at
  FROM job
 WHERE account_id = %(account_id)s;

-- name: accounts_at_a_glance
-- across accounts: the operator of the service sees all of them.
-- Each sub-account with its vendor, and how its jobs stand.
SELECT account.id, account.name, account.external_id, parent_account.name AS parent_name,
       count(job.id) AS jobs,
       count(*) FILTER (WHERE newest.state = 'failed' AND job.enabled) AS failed,
       count(*) FILTER (WHERE newest.state IN ('queued', 'running', 'retrying')) AS active
  FROM account
  JOIN parent_account ON parent_account.id = account.parent_id
  LEFT JOIN job ON job.account_id = account.id
  LEFT JOIN LATERAL (
       SELECT run.state
         FROM run
        WHERE run.job_id = job.id
        ORDER BY run.queued_at DESC, run.id
        LIMIT 1) AS newest ON true
 WHERE account.name || ' ' || parent_account.name || ' ' || coalesce(account.external_id, '')
       ILIKE '%%' || %(search)s || '%%'
 GROUP BY account.id, parent_account.id
 ORDER BY failed DESC, lower(parent_account.name), lower(account.name), account.id
 LIMIT %(limit)s;
