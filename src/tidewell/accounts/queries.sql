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
RETURNING id;

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
