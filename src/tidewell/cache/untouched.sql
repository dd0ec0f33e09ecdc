-- How a load leaves its table, and whether anybody has changed it since. A transaction's number
-- stands in each row that it has written (`xmin`), also where the row was frozen or its transaction
-- is long over; a row never changes but by another taking its place.

-- name: since
-- The oldest transaction that may be at work: what is not committed yet has this number or a later.
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- name: own
-- The number of this transaction, where it has one: it has written something then.
SELECT pg_current_xact_id_if_assigned()::text::bigint;

-- name: shape
-- All that a row's values depend on besides the row, as one text: which table of which server, its
-- file, its columns as they are kept; and its indexes. No row for a table of which the rows alone do
-- not tell: one that has parts, rules or triggers, points to itself, or shows a part of its rows.
SELECT concat_ws(' ', control.system_identifier, base.oid, class.oid,
                 pg_relation_filenode(class.oid),
                 (SELECT string_agg(concat_ws(' ', attnum, quote_ident(attname), atttypid, atttypmod,
                                              attcollation, attgenerated, attidentity),
                                    ',' ORDER BY attnum)
                    FROM pg_attribute
                   WHERE attrelid = class.oid AND attnum > 0 AND NOT attisdropped),
                 (SELECT string_agg(concat_ws(' ', pg_get_indexdef(indexrelid), indisvalid),
                                    ',' ORDER BY indexrelid)
                    FROM pg_index WHERE indrelid = class.oid))
  FROM pg_class AS class
  JOIN pg_namespace AS namespace ON namespace.oid = class.relnamespace
  JOIN pg_database AS base ON base.datname = current_database()
 CROSS JOIN pg_control_system() AS control
 WHERE namespace.nspname = %(schema)s AND class.relname = %(table)s
   AND class.relkind = 'r'
   AND NOT class.relhassubclass AND NOT class.relhasrules
   AND NOT row_security_active(class.oid)
   AND NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = class.oid AND NOT tgisinternal)
   AND NOT EXISTS (SELECT FROM pg_constraint
                    WHERE contype = 'f' AND conrelid = class.oid AND confrelid = class.oid);

-- name: rows
-- How many rows stand; how many of them may have been written by another transaction that was not
-- over by `since`; how many numbers have been given away since. Rows keep the lower 32 bits.
SELECT coalesce(sum(written.rows), 0)::bigint,
       coalesce(sum(written.rows)
                FILTER (WHERE ((written.xmin::text::bigint - %(since)s) & 4294967295) < reach
                          AND written.xmin::text::bigint IS DISTINCT FROM (%(own)s & 4294967295)),
                0)::bigint,
       reach
  FROM (SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - %(since)s AS reach) AS given
  LEFT JOIN (SELECT xmin, count(*) AS rows FROM {table} GROUP BY xmin) AS written ON true
 GROUP BY reach;
