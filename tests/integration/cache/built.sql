-- What people build on a cached table, each with a name; and how such a table looks.

-- name: shape
-- Its columns, indexes, constraints, grants and the beginning of its comment.
SELECT (SELECT json_agg(json_build_array(attname, format_type(atttypid, atttypmod), attnotnull,
                                         col_description(attrelid, attnum)) ORDER BY attnum)
          FROM pg_attribute WHERE attrelid = class.oid AND attnum > 0)::text,
       (SELECT json_agg(pg_get_indexdef(indexrelid) ORDER BY indexrelid)
          FROM pg_index WHERE indrelid = class.oid)::text,
       (SELECT json_agg(json_build_array(conname, pg_get_constraintdef(oid)) ORDER BY conname)
          FROM pg_constraint WHERE conrelid = class.oid)::text,
       (SELECT array_agg(one::text ORDER BY one::text) FROM unnest(relacl) AS one)::text,
       split_part(obj_description(oid, 'pg_class'), ';', 1)
  FROM pg_class AS class
 WHERE oid = '"My shop".orders'::regclass;

-- name: a_view
CREATE VIEW public.one AS SELECT id FROM "My shop".orders;

-- name: a_materialised_view
CREATE MATERIALIZED VIEW public.one AS SELECT id FROM "My shop".orders;

-- name: a_view_of_its_rows
CREATE VIEW public.one AS SELECT one FROM "My shop".orders AS one;

-- name: a_foreign_key
CREATE TABLE public.one (id bigint
    REFERENCES "My shop".orders ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);

-- name: an_index
CREATE INDEX one ON "My shop".orders (name);

-- name: an_index_of_an_expression
CREATE INDEX one ON "My shop".orders (lower(name));

-- name: another_unique_key
ALTER TABLE "My shop".orders ADD UNIQUE (name);

-- name: a_check
ALTER TABLE "My shop".orders ADD CHECK (version > 0);

-- name: a_column_that_is_never_null
ALTER TABLE "My shop".orders ALTER name SET NOT NULL;

-- name: a_default
ALTER TABLE "My shop".orders ALTER name SET DEFAULT 'x';

-- name: a_column
ALTER TABLE "My shop".orders ADD mine text;

-- name: a_column_that_was_dropped
ALTER TABLE "My shop".orders ADD mine text;
ALTER TABLE "My shop".orders DROP mine;

-- name: a_trigger
CREATE TRIGGER one AFTER INSERT ON "My shop".orders FOR EACH STATEMENT
    EXECUTE FUNCTION public.nothing();

-- name: a_policy
CREATE POLICY one ON "My shop".orders USING (true);

-- name: security_of_rows
ALTER TABLE "My shop".orders ENABLE ROW LEVEL SECURITY;

-- name: statistics
CREATE STATISTICS public.one ON id, name FROM "My shop".orders;

-- name: a_target_of_statistics
ALTER TABLE "My shop".orders ALTER name SET STATISTICS 500;

-- name: a_grant_of_a_column
GRANT SELECT (id) ON "My shop".orders TO PUBLIC;

-- name: a_child
CREATE TABLE public.one () INHERITS ("My shop".orders);

-- name: a_setting
ALTER TABLE "My shop".orders SET (fillfactor = 80);

-- name: a_setting_of_what_is_long
ALTER TABLE "My shop".orders SET (toast.autovacuum_enabled = false);

-- name: a_way_to_store
ALTER TABLE "My shop".orders ALTER name SET STORAGE EXTERNAL;

-- name: a_way_to_compress
ALTER TABLE "My shop".orders ALTER name SET COMPRESSION pglz;

-- name: an_identity
ALTER TABLE "My shop".orders REPLICA IDENTITY FULL;

-- name: an_order_on_disk
CLUSTER "My shop".orders USING orders_pkey;

-- name: a_function_of_its_rows
CREATE FUNCTION public.one("My shop".orders) RETURNS int LANGUAGE sql AS 'SELECT 1';

-- name: a_function_over_it
CREATE FUNCTION public.one() RETURNS bigint
    LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM "My shop".orders;
END;

-- name: a_column_of_its_rows
CREATE TABLE public.one (row "My shop".orders);

-- name: a_column_of_many_of_its_rows
CREATE TABLE public.one (rows "My shop".orders[]);

-- name: a_comment_on_its_key
COMMENT ON INDEX "My shop".orders_pkey IS 'mine';

-- name: a_comment_on_its_type
COMMENT ON TYPE "My shop".orders IS 'mine';

-- name: a_grant_of_its_type
REVOKE USAGE ON TYPE "My shop".orders FROM PUBLIC;

-- name: a_function_with_a_row_of_it
CREATE FUNCTION public.one() RETURNS text LANGUAGE plpgsql AS $$
DECLARE row "My shop".orders%ROWTYPE;
BEGIN SELECT * INTO row FROM "My shop".orders LIMIT 1; RETURN to_jsonb(row)::text; END $$;

-- name: a_publication
CREATE PUBLICATION one FOR TABLE "My shop".orders;

-- name: a_copy_that_is_not_logged
ALTER TABLE "My shop".orders SET UNLOGGED;
