-- When a job's next time was set, by the clock that set it: if that lies in our future, the clock ran
-- ahead. Found by an index, because it is looked for each minute among all jobs.
ALTER TABLE job ADD COLUMN scheduled_at timestamptz;
CREATE INDEX job_scheduled ON job (scheduled_at) WHERE scheduled_at IS NOT NULL;
