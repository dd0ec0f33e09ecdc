-- Personal access tokens; only their hashes are here.

-- name: insert_pat
-- A new token of an account; nothing is inserted where there is no such account.
INSERT INTO personal_access_token (id, account_id, name, hash, created_at, expires_at)
SELECT %(id)s, account.id, %(name)s, %(hash)s, %(now)s, %(expires_at)s
  FROM account
 WHERE account.id = %(account_id)s
RETURNING id;

-- name: list_pats
-- The tokens of an account, oldest first.
SELECT id, name, created_at, expires_at, revoked_at
  FROM personal_access_token
 WHERE account_id = %(account_id)s
 ORDER BY created_at, id;

-- name: revoke_pat
-- From now on it opens nothing.
UPDATE personal_access_token
   SET revoked_at = %(now)s
 WHERE account_id = %(account_id)s AND id = %(id)s AND revoked_at IS NULL
RETURNING name;

-- name: holder
-- Whose token this is, while it lives.
SELECT personal_access_token.name, account.id AS account_id, account.parent_id
  FROM personal_access_token
  JOIN account ON account.id = personal_access_token.account_id
 WHERE account.id = %(account_id)s AND personal_access_token.hash = %(hash)s
   AND personal_access_token.revoked_at IS NULL
   AND personal_access_token.expires_at > %(now)s;

-- name: parent_of
-- Which vendor an account belongs to.
SELECT parent_id FROM account WHERE id = %(account_id)s;
