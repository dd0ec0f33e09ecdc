-- name: forget_queue_rows
-- across accounts: the queue has no accounts.
-- What is over in the queue, with its events, up to a number of them; a worker takes out what it has
-- done by itself, and the runs have their own history.
DELETE FROM procrastinate_jobs
 WHERE id = ANY (ARRAY(SELECT id
                         FROM procrastinate_jobs
                        WHERE status IN ('succeeded', 'failed', 'cancelled', 'aborted')
                        LIMIT %(limit)s));

-- name: forget_log
-- across accounts: retention is the same for all.
-- Lines of ended runs that are older than the retention.
DELETE FROM run_log
 WHERE ctid = ANY (ARRAY(SELECT run_log.ctid
                           FROM run_log
                           JOIN run ON run.id = run_log.run_id
                          WHERE run_log.at < %(before)s
                            AND run.state IN ('success', 'failed', 'stopped')
                          LIMIT %(limit)s));

-- name: forget_runs
-- across accounts: retention is the same for all.
-- Runs that ended before the retention, with their changes; the newest of each job stays, because
-- the job shows it, and its last success, which tells since when its rows stand. The next success is
-- looked for upwards from each: it is near, save for the last one.
DELETE FROM run
 WHERE id = ANY (ARRAY(SELECT old.id
                         FROM run AS old
                        WHERE old.finished_at < %(before)s
                          AND old.state IN ('success', 'failed', 'stopped')
                          AND EXISTS (SELECT FROM run AS newer
                                       WHERE newer.job_id = old.job_id
                                         AND newer.queued_at > old.queued_at)
                          AND (old.state <> 'success'
                               OR (SELECT later.id
                                     FROM run AS later
                                    WHERE later.job_id = old.job_id
                                      AND later.queued_at > old.queued_at
                                      AND later.state = 'success'
                                    ORDER BY later.queued_at
                                    LIMIT 1) IS NOT NULL)
                        LIMIT %(limit)s));
