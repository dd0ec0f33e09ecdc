-- name: databases
-- across accounts: this makes the databases themselves.
SELECT datname FROM pg_database;

-- name: cache_role
-- across accounts: as above.
-- Whether the plain role of the cache exists.
SELECT FROM pg_roles WHERE rolname = 'cache';

-- name: make_state
-- across accounts: as above.
CREATE DATABASE tidewell;

-- name: make_cache_role
-- across accounts: as above.
-- A plain role: whoever knows a cache connection string must not reach the state.
CREATE ROLE cache LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD {};

-- name: make_cache
-- across accounts: as above.
CREATE DATABASE cache OWNER cache;

-- name: close_state
-- across accounts: as above.
REVOKE ALL ON DATABASE tidewell FROM PUBLIC;

-- name: close_postgres
-- across accounts: as above.
REVOKE ALL ON DATABASE postgres FROM PUBLIC;
