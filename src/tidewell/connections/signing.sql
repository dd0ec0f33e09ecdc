-- name: signing_keys
-- across accounts: these are the service's own keys.
-- Keys whose signatures are still accepted, the one that signs first.
SELECT id, sealed, public_pem
  FROM signing_key
 WHERE retired_at IS NULL OR retired_at > %(since)s
 ORDER BY retired_at IS NOT NULL, created_at DESC;

-- name: hold_signing_keys
-- across accounts: as above.
-- One maker of keys at a time.
LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE;

-- name: retire_signing_keys
-- across accounts: as above.
-- They sign no more; what they have signed runs out by itself.
UPDATE signing_key SET retired_at = %(now)s WHERE retired_at IS NULL;

-- name: insert_signing_key
-- across accounts: as above.
-- The key that signs from now on.
INSERT INTO signing_key (id, sealed, public_pem, created_at)
VALUES (%(id)s, %(sealed)s, %(public_pem)s, %(now)s);
