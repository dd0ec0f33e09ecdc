-- What the life of a run needs (docs/run-life.md).
--   changed_at, reason  of the newest change of state
--   retry_at            when a run that is retrying is tried again
--   failures            attempts that failed for a passing reason
--   recoveries          workers that died while they had the run
--   beat_at             the executing worker's newest sign of life, by this database's clock
--   turn                its place among all accounts' runs: a lower one goes first
ALTER TABLE run
    ADD COLUMN changed_at timestamptz,
    ADD COLUMN reason text,
    ADD COLUMN retry_at timestamptz,
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD COLUMN recoveries integer NOT NULL DEFAULT 0,
    ADD COLUMN beat_at timestamptz,
    ADD COLUMN turn integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT run_state_check,
    ADD CONSTRAINT run_state_check
        CHECK (state IN ('queued', 'running', 'retrying', 'success', 'failed', 'stopped'));

DROP INDEX run_one_active;
CREATE UNIQUE INDEX run_one_active ON run (job_id)
    WHERE state IN ('queued', 'running', 'retrying');
-- The newest turn of an account, and what the sweeper looks at.
CREATE INDEX run_turn ON run (account_id, turn) WHERE state IN ('queued', 'running', 'retrying');
CREATE INDEX run_ended ON run (finished_at) WHERE state IN ('success', 'failed', 'stopped');
CREATE INDEX run_log_at ON run_log (at);

-- Every change of a run's state, written with it.
CREATE TABLE run_change (
    run_id uuid NOT NULL REFERENCES run ON DELETE CASCADE,
    change bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL,
    from_state text,
    to_state text NOT NULL,
    attempt bigint,
    reason text,
    PRIMARY KEY (run_id, change)
);

CREATE FUNCTION record_run_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO run_change (run_id, at, from_state, to_state, attempt, reason)
    VALUES (NEW.id, coalesce(NEW.changed_at, now()),
            CASE WHEN TG_OP = 'UPDATE' THEN OLD.state END, NEW.state, NEW.attempt, NEW.reason);
    RETURN NULL;
END
$$;
CREATE TRIGGER run_inserted AFTER INSERT ON run
    FOR EACH ROW EXECUTE FUNCTION record_run_change();
CREATE TRIGGER run_changed AFTER UPDATE OF state ON run
    FOR EACH ROW WHEN (OLD.state IS DISTINCT FROM NEW.state OR OLD.changed_at IS DISTINCT FROM NEW.changed_at)
    EXECUTE FUNCTION record_run_change();

-- The queue looks for the foremost job of each lane; without this it reads them all.
CREATE INDEX procrastinate_jobs_lane ON procrastinate_jobs (lock, priority DESC, id)
    WHERE status IN ('todo', 'doing');
