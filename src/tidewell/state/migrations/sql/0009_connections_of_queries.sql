-- Which connections a scheduled query names, where it names several; the only one of others is
-- connection_id. NULL, too, for queries that were saved before: their next update notes them.
ALTER TABLE job ADD COLUMN connection_ids uuid[];
