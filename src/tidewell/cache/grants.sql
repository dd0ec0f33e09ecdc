-- Who may do what with a table, and how another is given the same.

-- name: grants
-- Who may do what with a table. PUBLIC has no name.
SELECT role.rolname, granted.privilege_type, granted.is_grantable
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
 CROSS JOIN LATERAL aclexplode(coalesce(class.relacl, acldefault('r', class.relowner))) AS granted
  LEFT JOIN pg_roles AS role ON role.oid = granted.grantee
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s;

-- name: revoke
-- What a table has been given and should not have.
REVOKE ALL ON TABLE {table} FROM {role};

-- name: grant
-- What it should have.
GRANT {privilege} ON TABLE {table} TO {role}{option};
