-- name: sources
-- What a shop knows of the conversations of its MailChimp account, all of one version at a time.
CREATE TABLE IF NOT EXISTS owners (conversation text PRIMARY KEY, owner text, version int);

-- name: clear
TRUNCATE owners;

-- name: own
INSERT INTO owners VALUES (%s, %s, %s);

-- name: due
-- An hour passes: the job is due.
UPDATE job SET next_run_at = now() - interval '1 second' WHERE id = %s;

-- name: active
-- Whether a run is going on, or about to begin.
SELECT EXISTS (SELECT FROM run WHERE job_id = job.id AND state IN ('queued', 'running', 'retrying'))
       OR next_run_at <= now()
  FROM job WHERE id = %s;

-- name: runs
SELECT state, cause, receipt, error_code FROM run WHERE job_id = %s ORDER BY queued_at;

-- name: joined
SELECT id, subject, owner, version FROM joined.conversations ORDER BY id;

-- name: query
SELECT c.id, c.subject, o.owner, o.version
  FROM [Mail].[MailChimp].[Conversations] AS c
  JOIN [Shop].[public].[owners] AS o ON o.conversation = c.id AND o.version = c.message_count
