-- Whether a run has written already: a row for each job. All of it is in the write's transaction.

-- name: make
-- The newest attempt of each job that has begun, and the last run that has committed.
CREATE TABLE IF NOT EXISTS main.tidewell_written (
    job_id text PRIMARY KEY,
    attempt integer NOT NULL,
    run_id text,
    affected integer
);

-- name: begin
-- The job's row, if this is its first write.
INSERT OR IGNORE INTO main.tidewell_written (job_id, attempt) VALUES (?, ?);

-- name: hold
-- What it says; the transaction holds the whole file.
SELECT attempt, run_id, affected FROM main.tidewell_written WHERE job_id = ?;

-- name: note
-- The run has written, if the transaction commits.
UPDATE main.tidewell_written SET attempt = ?, run_id = ?, affected = ? WHERE job_id = ?;
