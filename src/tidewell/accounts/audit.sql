-- name: insert_event
-- What somebody wrote.
INSERT INTO audit_event (at, parent_id, account_id, action, target_id, target_name, request_id)
VALUES (%(at)s, %(parent_id)s, %(account_id)s, %(action)s, %(target_id)s, %(target_name)s,
        %(request_id)s);

-- name: list_events
-- Events of a vendor, perhaps only of one customer, newest first, with who that is.
SELECT audit_event.*, coalesce(account.name, parent_account.name) AS user_name
  FROM audit_event
  LEFT JOIN account ON account.id = audit_event.account_id
  LEFT JOIN parent_account
    ON parent_account.id = audit_event.parent_id AND audit_event.account_id IS NULL
 WHERE audit_event.parent_id = %(parent_id)s
   AND (%(account_id)s::uuid IS NULL OR audit_event.account_id = %(account_id)s)
   AND (%(since)s::timestamptz IS NULL OR audit_event.at >= %(since)s)
   AND (%(until)s::timestamptz IS NULL OR audit_event.at <= %(until)s)
 ORDER BY audit_event.at DESC, audit_event.id DESC
 LIMIT %(limit)s;

-- name: forget_events
-- across accounts: the same age for all.
-- Events that are older than they have to be kept, up to a number of them.
DELETE FROM audit_event
 WHERE id = ANY (ARRAY(SELECT id FROM audit_event WHERE at < %(before)s LIMIT %(limit)s));
