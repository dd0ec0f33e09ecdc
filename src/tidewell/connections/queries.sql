-- name: lock_cache
-- The account's cache connection, held until the transaction ends.
SELECT id, sealed FROM cache_connection WHERE account_id = %(account_id)s FOR UPDATE;

-- name: save_cache
-- Create the account's cache connection, or replace its values; id and creation time stay.
INSERT INTO cache_connection AS c
       (id, account_id, sealed, is_tested, test_error, created_at, modified_at)
VALUES (%(id)s, %(account_id)s, %(sealed)s, %(is_tested)s, %(test_error)s, %(now)s, %(now)s)
    ON CONFLICT (account_id) DO UPDATE
       SET id = excluded.id, sealed = excluded.sealed, is_tested = excluded.is_tested,
           test_error = excluded.test_error, modified_at = excluded.modified_at
RETURNING c.*;

-- name: reload_jobs
-- The account's caching jobs start from a full load: their tables stand nowhere yet.
UPDATE job SET reload = true WHERE account_id = %(account_id)s AND job_type = 'Caching';

-- name: reload_jobs_of_connection
-- The connection leads to another source: what its jobs have read so far says nothing about it.
UPDATE job
   SET reload = true
 WHERE account_id = %(account_id)s AND connection_id = %(connection_id)s
   AND job_type = 'Caching';

-- name: insert_connection
-- A new connection; the unique index on its name refuses a second one.
INSERT INTO connection
       (id, account_id, name, driver, sealed, external_id, created_at, modified_at)
VALUES (%(id)s, %(account_id)s, %(name)s, %(driver)s, %(sealed)s, %(external_id)s,
        %(now)s, %(now)s)
RETURNING *;

-- name: update_connection
-- New values; they have not been tested yet.
UPDATE connection
   SET name = %(name)s, driver = %(driver)s, sealed = %(sealed)s, external_id = %(external_id)s,
       is_tested = false, test_error = NULL, modified_at = %(now)s
 WHERE account_id = %(account_id)s AND id = %(id)s
RETURNING *;

-- name: connection
-- One connection of the account.
SELECT * FROM connection WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: lock_connection
-- One connection of the account, held until the transaction ends.
SELECT * FROM connection WHERE account_id = %(account_id)s AND id = %(id)s FOR UPDATE;

-- name: delete_connection
-- Fails while jobs refer to it.
DELETE FROM connection WHERE account_id = %(account_id)s AND id = %(id)s;

-- name: connections
-- The account's connections, oldest first.
SELECT *
  FROM connection
 WHERE account_id = %(account_id)s
   AND (%(ids)s::uuid[] IS NULL OR id = ANY (%(ids)s))
   AND (%(driver)s::text IS NULL OR lower(driver) = lower(%(driver)s))
   AND (%(external_id)s::text IS NULL OR external_id = %(external_id)s)
 ORDER BY created_at, id;

-- name: note_test
-- What a test of a connection gave, unless its values have been replaced since it began.
UPDATE connection
   SET is_tested = %(worked)s, test_error = %(error)s
 WHERE account_id = %(account_id)s AND id = %(id)s AND modified_at = %(modified_at)s;

-- name: stored_cache
-- The account's cache connection as it stands.
SELECT * FROM cache_connection WHERE account_id = %(account_id)s;
