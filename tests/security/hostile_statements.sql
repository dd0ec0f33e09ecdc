-- Statements that have to be refused, one a line; {t} and {u} are tables that may be read.

-- several statements in one
SELECT 1 FROM {t}; SELECT 2 FROM {u}
SELECT 1 FROM {t}; DROP TABLE {u}
SELECT 1 FROM {t};; DELETE FROM {u}
; SELECT 1 FROM {t}, {u}; COMMIT
SELECT 'a;' FROM {t}, {u}; --
SELECT 1 FROM {t}, {u} /* ; */ ; ROLLBACK
BEGIN; SELECT * FROM {t}, {u}; END
EXPLAIN SELECT 1 FROM {t}, {u}; DROP TABLE {t}

-- what comments hide, and what they do not
/* */ DROP /* */ TABLE {t}
--\nDELETE FROM {t}
SELECT /* -- */ pg_read_file('/etc/passwd') FROM {t}, {u}
SELECT pg_/**/read_file('/etc/passwd') FROM {t}, {u}
SELECT /*+ set(work_mem '1GB') */ 1 FROM {t}, {u} INTO OUTFILE '/tmp/x'
/*!50000 DROP TABLE {t} */
SELECT 1 FROM {t}, {u} --\n; DROP TABLE {t}
EXPLAIN ANALYZE DELETE FROM {t}
EXPLAIN /* */ ANALYZE SELECT pg_sleep(10) FROM {t}, {u}
EXPLAIN (ANALYZE, BUFFERS) UPDATE {t} SET id = 1

-- writing
INSERT INTO {t} VALUES (9, 'x')
INSERT INTO {t} SELECT * FROM {u}
UPDATE {t} SET id = 0
DELETE FROM {t}
TRUNCATE {t}
MERGE INTO {t} USING {u} ON false WHEN NOT MATCHED THEN INSERT VALUES (1)
REPLACE INTO {t} VALUES (1, 'x')
WITH gone AS (DELETE FROM {t} RETURNING *) SELECT * FROM gone, {u}
WITH new AS (INSERT INTO {t} VALUES (9, 'x') RETURNING id) SELECT * FROM new
SELECT * INTO stolen FROM {t}, {u}
SELECT * INTO TEMP stolen FROM {t}, {u}
CREATE TABLE stolen AS SELECT * FROM {t}, {u}
CREATE VIEW stolen AS SELECT * FROM {t}, {u}
CREATE TEMP TABLE stolen (id int)
SELECT * FROM {t}, {u} FOR UPDATE
SELECT * FROM {t}, {u} FOR SHARE NOWAIT
LOCK TABLE {t} IN ACCESS EXCLUSIVE MODE

-- changing what there is
DROP TABLE {t}
DROP SCHEMA tidewell CASCADE
DROP DATABASE postgres
ALTER TABLE {t} ADD COLUMN x int
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE EXTENSION dblink
CREATE EXTENSION IF NOT EXISTS file_fdw
CREATE SERVER s FOREIGN DATA WRAPPER file_fdw
CREATE ROLE admin SUPERUSER LOGIN
ALTER ROLE CURRENT_USER SUPERUSER
GRANT ALL ON {t} TO PUBLIC
CREATE TRIGGER t AFTER INSERT ON people EXECUTE FUNCTION f()
CREATE MACRO f(x) AS x + 1
CREATE SECRET s (TYPE s3, KEY_ID 'x', SECRET 'y')
COMMENT ON TABLE {t} IS 'mine'
VACUUM FULL
REINDEX DATABASE postgres
CHECKPOINT
DO $$ BEGIN EXECUTE 'DROP TABLE people'; END $$

-- the session
SET ROLE postgres
SET SESSION AUTHORIZATION postgres
RESET ALL
SET search_path = pg_catalog
SET statement_timeout = 0
SET default_transaction_read_only = off
SET TRANSACTION READ WRITE
SET enable_external_access = true
SET GLOBAL memory_limit = '64GB'
PRAGMA database_list
SHOW ALL
SHOW TABLES
DISCARD ALL
COMMIT
ROLLBACK; BEGIN READ WRITE
PREPARE p AS SELECT 1
EXECUTE p
DEALLOCATE ALL
LISTEN secrets
NOTIFY secrets, 'x'
DECLARE c CURSOR WITH HOLD FOR SELECT * FROM {t}
SELECT set_config('role', 'postgres', false) FROM {t}, {u}
SELECT current_setting('data_directory') FROM {t}, {u}
SELECT pg_catalog.set_config('statement_timeout', '0', false) FROM {t}, {u}

-- files of the server
COPY {t} TO '/tmp/stolen.csv'
COPY {t} FROM '/etc/passwd'
COPY (SELECT * FROM {t}, {u}) TO PROGRAM 'cat > /tmp/stolen'
COPY {t} FROM PROGRAM 'id'
EXPORT DATABASE '/tmp/stolen'
IMPORT DATABASE '/tmp/stolen'
SELECT pg_read_file('/etc/passwd') FROM {t}, {u}
SELECT pg_catalog.pg_read_file('/etc/passwd') FROM {t}, {u}
SELECT "pg_read_file"('/etc/passwd') FROM {t}, {u}
SELECT PG_READ_FILE('/etc/passwd') FROM {t}, {u}
SELECT [pg_read_file]('/etc/passwd') FROM {t}, {u}
SELECT U&"pg_read\005ffile"('/etc/passwd') FROM {t}, {u}
SELECT pg_read_binary_file('/etc/passwd') FROM {t}, {u}
SELECT pg_ls_dir('/') FROM {t}, {u}
SELECT * FROM pg_ls_dir('/') AS f, {t}, {u}
SELECT * FROM pg_ls_logdir(), {t}, {u}
SELECT pg_stat_file('/etc/passwd') FROM {t}, {u}
SELECT lo_import('/etc/passwd') FROM {t}, {u}
SELECT lo_export(16384, '/tmp/stolen') FROM {t}, {u}
SELECT lo_get(16384) FROM {t}, {u}
SELECT * FROM read_csv('/etc/passwd'), {t}, {u}
SELECT * FROM read_csv_auto('/etc/passwd'), {t}, {u}
SELECT * FROM read_text('/etc/passwd'), {t}, {u}
SELECT * FROM read_blob('/etc/*'), {t}, {u}
SELECT * FROM read_parquet('/tmp/*.parquet'), {t}, {u}
SELECT * FROM read_json('/etc/passwd'), {t}, {u}
SELECT * FROM parquet_scan('/tmp/x.parquet'), {t}, {u}
SELECT * FROM sniff_csv('/etc/passwd'), {t}, {u}
SELECT * FROM glob('/etc/*'), {t}, {u}
SELECT * FROM '/etc/passwd', {t}, {u}
SELECT * FROM "/etc/passwd", {t}, {u}
SELECT * FROM [/etc/passwd], {t}, {u}
SELECT * FROM `/etc/hosts.csv`, {t}, {u}
SELECT * FROM "https://example.org/x.parquet", {t}, {u}
SELECT * FROM 's3://bucket/x.parquet', {t}, {u}
SELECT (SELECT content FROM read_text('/etc/passwd')) FROM {t}, {u}
SELECT * FROM {t} WHERE id IN (SELECT size FROM read_text('/etc/passwd')) OR id IN (SELECT id FROM {u})
SELECT * FROM {t} UNION ALL SELECT * FROM read_csv('/etc/passwd')
WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x, {t}, {u}
SELECT * FROM {t} JOIN LATERAL read_text('/etc/passwd') ON true

-- other databases and extensions
ATTACH '/tmp/other.duckdb' AS other
ATTACH 'postgres://localhost/postgres' AS other (TYPE postgres)
DETACH other
USE other
INSTALL httpfs
LOAD httpfs
LOAD '/tmp/evil.so'
FORCE INSTALL spatial FROM community
SELECT * FROM dblink('host=localhost', 'SELECT 1') AS d (x int), {t}, {u}
SELECT dblink_exec('host=localhost', 'DROP TABLE x') FROM {t}, {u}
SELECT dblink_connect('host=localhost') FROM {t}, {u}
SELECT * FROM postgres_scan('host=localhost', 'public', 'x'), {t}, {u}
SELECT * FROM sqlite_scan('/tmp/x.db', 'x'), {t}, {u}
SELECT * FROM query('SELECT 1'), {t}, {u}
SELECT * FROM query_table('x'), {t}, {u}
SELECT * FROM iceberg_scan('s3://x'), {t}, {u}
CALL pragma_version()
CALL load_aws_credentials()

-- what engines know of themselves, of others and of this machine
SELECT getenv('HOME') FROM {t}, {u}
SELECT version() FROM {t}, {u}
SELECT current_user, {t}.* FROM {t}, {u} WHERE current_user() = 'postgres'
SELECT inet_server_addr() FROM {t}, {u}
SELECT pg_backend_pid() FROM {t}, {u}
SELECT * FROM pg_catalog.pg_authid, {t}, {u}
SELECT * FROM pg_shadow, {t}, {u}
SELECT * FROM pg_user_mapping, {t}, {u}
SELECT * FROM pg_stat_activity, {t}, {u}
SELECT * FROM pg_settings, {t}, {u}
SELECT * FROM information_schema.tables, {t}, {u}
SELECT * FROM Office.pg_catalog.pg_authid, {t}, {u}
SELECT * FROM Office.information_schema.columns, {t}, {u}
SELECT * FROM tidewell.cached_table, {t}, {u}
SELECT * FROM Office.tidewell.cached_table, {t}, {u}
SELECT * FROM "Office"."people", pg_class, {t}, {u}
SELECT * FROM sqlite_master, {t}, {u}
SELECT * FROM duckdb_settings(), {t}, {u}
SELECT * FROM duckdb_secrets(), {t}, {u}
SELECT * FROM duckdb_tables(), {t}, {u}
SELECT * FROM pragma_table_info('x'), {t}, {u}
SELECT * FROM "use 0", {t}, {u}
SELECT 'pg_authid'::regclass::oid FROM {t}, {u}
SELECT CAST('postgres' AS regrole) FROM {t}, {u}
SELECT has_table_privilege('pg_authid', 'SELECT') FROM {t}, {u}
SELECT query_to_xml('SELECT * FROM pg_authid', true, true, '') FROM {t}, {u}
SELECT table_to_xml('pg_authid', true, true, '') FROM {t}, {u}
SELECT database_to_xml(true, true, '') FROM {t}, {u}

-- other accounts
SELECT * FROM Theirs.Files.people, {t}, {u}
SELECT * FROM [Theirs].[Files].[people], {t}, {u}
SELECT * FROM "Theirs"."people", {t}, {u}
SELECT * FROM Office.Theirs.people, {t}, {u}
SELECT * FROM state.public.connection, {t}, {u}
SELECT * FROM public.connection, {t}, {u}
SELECT (SELECT COUNT(*) FROM Theirs.Files.people) FROM {t}, {u}
SELECT * FROM {t} UNION SELECT * FROM Theirs.Files.people

-- waiting, ending, filling up
SELECT pg_sleep(100) FROM {t}, {u}
SELECT pg_sleep_for('1 hour') FROM {t}, {u}
SELECT pg_terminate_backend(1) FROM {t}, {u}
SELECT pg_cancel_backend(1) FROM {t}, {u}
SELECT pg_reload_conf() FROM {t}, {u}
SELECT pg_rotate_logfile() FROM {t}, {u}
SELECT pg_advisory_lock(1) FROM {t}, {u}
SELECT pg_switch_wal() FROM {t}, {u}
SELECT nextval('x') FROM {t}, {u}
SELECT txid_current() FROM {t}, {u}
SELECT pg_notify('x', 'y') FROM {t}, {u}
SELECT * FROM generate_series(1, 1000000000000), {t}, {u}
SELECT * FROM range(1000000000000), {t}, {u}
SELECT * FROM repeat('x', 1000000000), {t}, {u}
SELECT x FROM unnest([1, 2]) AS u (x), {t}, {u}
SELECT system('id') FROM {t}, {u}
SELECT xp_cmdshell('id') FROM {t}, {u}
EXEC xp_cmdshell 'id'
SELECT load_extension('/tmp/evil.so') FROM {t}, {u}
SELECT LOAD_FILE('/etc/passwd') FROM {t}, {u}
SELECT @@version FROM {t}, {u}
SELECT * FROM {t} TABLESAMPLE SYSTEM (1), {u}
SELECT * FROM {t}, {u} WHERE id = ANY (ARRAY(SELECT pg_sleep(1)))
KILL 1
SHUTDOWN

-- quoted names where only words of the language stand
SELECT EXTRACT("YEAR FROM now())::text || (SELECT string_agg(relname, ',') FROM pg_class) || EXTRACT(YEAR" FROM now()) FROM {t}, {u}
SELECT EXTRACT([YEAR FROM now()) + pg_sleep(10) + EXTRACT(YEAR] FROM CURRENT_TIMESTAMP) FROM {t}, {u}
SELECT EXTRACT(`YEAR FROM now()) + pg_sleep(10) + EXTRACT(YEAR` FROM CURRENT_TIMESTAMP) FROM {t}, {u}
SELECT INTERVAL '1' YEAR TO "MONTH || pg_read_file('/etc/passwd')" FROM {t}, {u}
SELECT CAST(id AS VARCHAR("5) || pg_read_file('/etc/passwd') || CAST(id AS VARCHAR(5")) FROM {t}
SELECT CAST(id AS VARCHAR([5)); DROP TABLE stolen; SELECT CAST(1 AS VARCHAR(5])) FROM {t}
SELECT DATE_TRUNC("day', now()) || pg_sleep(10) || date_trunc('day", CURRENT_TIMESTAMP) FROM {t}, {u}
SELECT DATEADD("day + pg_sleep(10)", 1, CURRENT_TIMESTAMP) FROM {t}, {u}

-- joins that not all engines take to be the same
SELECT a.id FROM {t} AS a ANTI JOIN {u} AS b ON a.id = b.id AND a.id = 5
SELECT a.id FROM {t} AS a SEMI JOIN {u} AS b ON a.id = b.id
SELECT a.id FROM {t} AS a ASOF JOIN {u} AS b ON a.id >= b.id
SELECT a.id FROM {t} AS a POSITIONAL JOIN {u} AS b

-- tables in parentheses
SELECT x.rolname FROM {t}, {u}, (pg_catalog.pg_authid) AS x
SELECT * FROM (pg_catalog.pg_class) x, {t}, {u}
SELECT x.relname FROM {t} JOIN (pg_catalog.pg_class) x ON true, {u}
