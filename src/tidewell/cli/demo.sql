-- name: busiest_carriers
-- across accounts: this runs on the demo's cache, which belongs to its one customer.
-- What the demo shows of its cached table.
SELECT carrier,
       count(*) AS flights,
       round(avg(arr_delay), 1) AS mean_arrival_delay_minutes,
       sum(distance)::bigint AS miles
  FROM "Flights".flights
 GROUP BY carrier
 ORDER BY flights DESC
 LIMIT 5;
