-- name: use_utc
-- across accounts: it touches none.
-- Times are shown and reckoned in UTC.
SET TimeZone = 'UTC';
