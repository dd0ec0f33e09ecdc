-- What a session on a cache begins with, and what is asked before it is trusted.

-- name: set
-- A setting of this session.
SELECT set_config(%(name)s, %(value)s, false);

-- name: abilities
-- Whether schemas may be made here, whether this is a standby, and the server's version.
SELECT has_database_privilege(current_database(), 'CREATE'), pg_is_in_recovery(),
       current_setting('server_version_num')::int;
