-- name: tables
-- As many customers as suppliers, all in one nation: more pairs than can ever be joined.
CREATE TABLE regions (id int PRIMARY KEY);
INSERT INTO regions VALUES (1);
CREATE TABLE nations (id int PRIMARY KEY, region int);
INSERT INTO nations VALUES (1, 1);
CREATE TABLE customers (id int PRIMARY KEY, nation int);
INSERT INTO customers SELECT i, 1 FROM generate_series(1, 150000) AS i;
CREATE TABLE suppliers (id int PRIMARY KEY, nation int);
INSERT INTO suppliers SELECT i, 1 FROM generate_series(1, 150000) AS i;
CREATE TABLE orders (id int PRIMARY KEY, customer int);
INSERT INTO orders SELECT i, i FROM generate_series(1, 150000) AS i;
CREATE TABLE lines (id int PRIMARY KEY, "order" int, supplier int);
INSERT INTO lines SELECT i, i, i FROM generate_series(1, 150000) AS i;

-- name: query
-- TPC-H's query 5 (3.0.1 §2.4.5), whose customers and suppliers meet in a nation.
SELECT COUNT(*), SUM(l.id)
  FROM Shop.public.customers AS c, {orders} AS o, Shop.public.lines AS l,
       Shop.public.suppliers AS s, Shop.public.nations AS n, Shop.public.regions AS r
 WHERE c.id = o.customer AND l."order" = o.id AND l.supplier = s.id AND c.nation = s.nation
   AND s.nation = n.id AND n.region = r.id AND r.id = 1;
