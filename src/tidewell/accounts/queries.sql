-- name: insert_parent
-- across accounts: a parent stands above the accounts.
INSERT INTO parent_account (id, name, created_at) VALUES (%(id)s, %(name)s, %(now)s);

-- name: insert_key
-- across accounts: the keys belong to the parent.
INSERT INTO public_key (id, parent_id, kid, pem, created_at)
VALUES (%(id)s, %(parent_id)s, %(kid)s, %(pem)s, %(now)s);

-- name: insert_account
-- across accounts: this makes the account.
-- A new sub-account of a parent that exists.
INSERT INTO account (id, parent_id, external_id, name, created_at)
SELECT %(id)s, parent_account.id, %(external_id)s, %(name)s, %(now)s
  FROM parent_account
 WHERE parent_account.id = %(parent_id)s
RETURNING id, external_id, name, created_at;

-- name: keys_of_parent
-- across accounts: the keys tell who calls, so they come before the account.
-- The keys that a parent's tokens may be signed with, newest first; no row: no such parent.
SELECT public_key.kid, public_key.pem
  FROM parent_account
  LEFT JOIN public_key ON public_key.parent_id = parent_account.id
                      AND public_key.revoked_at IS NULL
                      AND (%(kid)s::text IS NULL OR public_key.kid = %(kid)s)
 WHERE parent_account.id = %(parent_id)s
 ORDER BY public_key.created_at DESC
 LIMIT %(limit)s;

-- name: is_account_of
-- Whether an account belongs to a parent.
SELECT FROM account WHERE id = %(account_id)s AND parent_id = %(parent_id)s;

-- name: revoke_key
-- across accounts: the keys belong to the parent.
-- From now on no token that it signed is accepted.
UPDATE public_key
   SET revoked_at = %(now)s
 WHERE parent_id = %(parent_id)s AND kid = %(kid)s AND revoked_at IS NULL
RETURNING id;

-- name: list_keys
-- across accounts: as above.
-- The keys of a parent, oldest first, revoked ones too.
SELECT kid, created_at, revoked_at
  FROM public_key
 WHERE parent_id = %(parent_id)s
 ORDER BY created_at, kid;

-- name: count_keys
-- across accounts: as above.
-- How many keys are in use; the parent's row is held, so that two do not pass the limit together.
SELECT (SELECT count(*) FROM public_key
         WHERE public_key.parent_id = parent_account.id AND revoked_at IS NULL) AS keys
  FROM parent_account
 WHERE id = %(parent_id)s
   FOR UPDATE;

-- name: parent
-- across accounts: a parent stands above the accounts.
-- A parent account.
SELECT * FROM parent_account WHERE id = %(parent_id)s;

-- name: list_parents
-- across accounts: as above; for an operator's own command.
-- All parents, oldest first, with the number of their sub-accounts.
SELECT parent_account.id, parent_account.name, parent_account.created_at,
       (SELECT count(*) FROM account WHERE account.parent_id = parent_account.id) AS customers
  FROM parent_account
 ORDER BY parent_account.created_at, parent_account.id;

-- name: set_hosts
-- across accounts: as above.
-- Where the parent's customers may be sent back to, and whose pages may frame ours.
UPDATE parent_account
   SET return_hosts = %(return_hosts)s, frame_origins = %(frame_origins)s
 WHERE id = %(parent_id)s
RETURNING id;

-- name: list_accounts
-- across accounts: these are the accounts of one parent.
-- The parent's sub-accounts, oldest first.
SELECT id, external_id, name, created_at
  FROM account
 WHERE parent_id = %(parent_id)s
 ORDER BY created_at, id;

-- name: find_account
-- across accounts: the account is what is looked for.
-- A sub-account by its id or the vendor's own id of it; the id wins.
SELECT id, external_id, name, created_at
  FROM account
 WHERE parent_id = %(parent_id)s AND (id = %(id)s OR external_id = %(external_id)s)
 ORDER BY (id IS NOT DISTINCT FROM %(id)s) DESC
 LIMIT 1;

-- name: update_account
-- New values of what is given; the rest stays.
UPDATE account
   SET external_id = CASE WHEN %(set_external_id)s THEN %(external_id)s ELSE external_id END,
       name = CASE WHEN %(set_name)s THEN %(name)s ELSE name END
 WHERE id = %(account_id)s AND parent_id = %(parent_id)s
RETURNING id, external_id, name, created_at;

-- name: lock_account
-- The account's own row, held until the transaction ends.
SELECT id, external_id, name, created_at
  FROM account
 WHERE id = %(account_id)s AND parent_id = %(parent_id)s
   FOR UPDATE;

-- name: delete_account
-- With everything that belongs to it.
DELETE FROM account WHERE id = %(account_id)s AND parent_id = %(parent_id)s;

-- name: some_accounts
-- across accounts: an operator's own command finds out which one it is for.
-- The account of an id, or any few where none is given.
SELECT id, parent_id
  FROM account
 WHERE %(id)s::uuid IS NULL OR id = %(id)s
 LIMIT %(limit)s;

-- name: some_parents
-- across accounts: an operator's own command takes the only vendor that there is.
SELECT id
  FROM parent_account
 ORDER BY created_at
 LIMIT %(limit)s;

-- name: account
-- An account, with its vendor.
SELECT account.id, account.external_id, account.name, account.created_at, account.parent_id,
       parent_account.name AS parent_name, parent_account.frame_origins
  FROM account
  JOIN parent_account ON parent_account.id = account.parent_id
 WHERE account.id = %(account_id)s;
