-- What a session on a cache begins with, and what is asked before it is trusted.

-- name: set
-- Settings of this session, all at once.
SELECT count(set_config(name, value, false))
  FROM unnest(%(names)s::text[], %(values)s::text[]) AS setting (name, value);

-- name: abilities
-- Whether schemas may be made here or ours was given to us, whether this is a standby, and the
-- server's version.
SELECT has_database_privilege(current_database(), 'CREATE')
       OR EXISTS (SELECT FROM pg_namespace
                   WHERE nspname = 'tidewell' AND has_schema_privilege(oid, 'CREATE')),
       pg_is_in_recovery(), current_setting('server_version_num')::int;

-- name: name
-- Whose it is from now on, and how long it may do nothing.
SELECT set_config('application_name', %(name)s, false),
       set_config('idle_session_timeout', %(idle)s, false);
