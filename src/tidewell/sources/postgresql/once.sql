-- Whether a run has written already: a row for each job, in the schema that is written to.

-- name: stands
-- Whether the table is there.
SELECT EXISTS (
       SELECT
         FROM pg_class AS class
         JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
        WHERE namespace.nspname = %(schema)s AND class.relname = %(name)s);

-- name: make
-- The newest attempt of each job that has begun, and the last run that has committed.
CREATE TABLE IF NOT EXISTS {table} (
    job_id uuid PRIMARY KEY,
    attempt bigint NOT NULL,
    run_id uuid,
    affected bigint
);
COMMENT ON TABLE {table} IS 'Bookkeeping of Tidewell: which runs of scheduled queries have written here, so that none does so twice.';

-- name: may_use
-- Nothing is changed; an error tells that the privileges are missing.
UPDATE {table} SET attempt = attempt WHERE false;

-- name: begin
-- The job's row, if this is its first write.
INSERT INTO {table} (job_id, attempt) VALUES (%(job_id)s, %(attempt)s) ON CONFLICT DO NOTHING;

-- name: hold
-- Hold it until the end of the transaction.
SELECT attempt, run_id, affected FROM {table} WHERE job_id = %(job_id)s FOR UPDATE;

-- name: note
-- The run has written, if the transaction commits.
UPDATE {table}
   SET attempt = %(attempt)s, run_id = %(run_id)s, affected = %(rows)s
 WHERE job_id = %(job_id)s;
