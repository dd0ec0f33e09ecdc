-- Whether an attempt before the current one may have committed without anybody knowing: it sent a
-- COMMIT and heard no answer, or its worker died. The cache is asked before such a run ends.
ALTER TABLE run ADD COLUMN unsettled boolean NOT NULL DEFAULT false;
UPDATE run SET unsettled = true WHERE attempts > 0 AND state IN ('queued', 'running', 'retrying');
