-- name: slow
-- A cached table whose first rows come at once, and the rest a row a minute. (A user's own view in
-- its place: what reads it cannot tell.)
ALTER TABLE "Office".people RENAME TO people_rows;
CREATE VIEW "Office".people AS
SELECT 0::bigint AS id, repeat('x', 100) AS name FROM generate_series(1, 200000)
 UNION ALL
SELECT id, name FROM "Office".people_rows WHERE pg_sleep(60)::text = '';

-- name: reading
-- The processes of the server that read it for a query.
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'active'
   AND query LIKE '%COPY (SELECT %"people"%';
