-- Whether a run has written already: a row for each job, in the database that is written to.

-- name: engine
-- A table is written whole or not at all only where its engine has transactions.
SELECT engine FROM information_schema.tables WHERE table_schema = %s AND table_name = %s;

-- name: make
-- The newest attempt of each job that has begun, and the last run that has committed.
CREATE TABLE IF NOT EXISTS {table} (
    job_id char(36) PRIMARY KEY,
    attempt bigint NOT NULL,
    run_id char(36),
    affected bigint
) ENGINE = InnoDB
  COMMENT 'Bookkeeping of Tidewell: which runs have written here, so that none does so twice.';

-- name: begin
-- The job's row, if this is its first write.
INSERT IGNORE INTO {table} (job_id, attempt) VALUES (%s, %s);

-- name: hold
-- Hold it until the end of the transaction.
SELECT attempt, run_id, affected FROM {table} WHERE job_id = %s FOR UPDATE;

-- name: note
-- The run has written, if the transaction commits.
UPDATE {table} SET attempt = %s, run_id = %s, affected = %s WHERE job_id = %s;
