-- How a worker's next run is found. The queue's own statement looks for the foremost job of a free
-- lane: two short walks through indexes. Just after thousands of runs were queued the planner's
-- statistics are those of before, and it joins the whole queue with itself for each of them.
ALTER FUNCTION procrastinate_fetch_job_v2(character varying[], bigint) SET enable_hashjoin = off;
ALTER FUNCTION procrastinate_fetch_job_v2(character varying[], bigint) SET enable_mergejoin = off;
ALTER FUNCTION procrastinate_fetch_job_v2(character varying[], bigint) SET enable_seqscan = off;
ALTER FUNCTION procrastinate_fetch_job_v2(character varying[], bigint) SET enable_bitmapscan = off;
ALTER FUNCTION procrastinate_fetch_job_v2(character varying[], bigint) SET enable_sort = off;
