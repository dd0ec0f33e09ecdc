-- UPDATE and DELETE as clients write them, each with what it means in plain PostgreSQL.
-- A line `=>` stands between the two. The schema `archive` has tables of the same names.

-- name: an alias, and a table of its name in a subquery
DELETE FROM Crm.public.orders o WHERE EXISTS (SELECT 1 FROM Crm.archive.orders WHERE orders.id = o.id)
=>
DELETE FROM public.orders WHERE id IN (2, 3)

-- name: the same table in a subquery
DELETE FROM Crm.public.people p WHERE NOT EXISTS (SELECT 1 FROM Crm.public.people WHERE people.boss = p.id)
=>
DELETE FROM public.people WHERE id NOT IN (1, 2)

-- name: both by their full names
DELETE FROM Crm.public.orders WHERE EXISTS (SELECT 1 FROM Crm.archive.orders WHERE Crm.archive.orders.id = Crm.public.orders.id)
=>
DELETE FROM public.orders WHERE id IN (2, 3)

-- name: its full name inside, where the same table has an alias
DELETE FROM Crm.public.orders WHERE EXISTS (SELECT 1 FROM Crm.public.orders o WHERE o.person = Crm.public.orders.person AND o.id < Crm.public.orders.id)
=>
DELETE FROM public.orders WHERE id = 2

-- name: its name as the alias of another table
DELETE FROM Crm.public.orders o WHERE EXISTS (SELECT 1 FROM Crm.archive.people orders WHERE orders.id = o.person)
=>
DELETE FROM public.orders WHERE person = 1

-- name: its name as that of a derived table
DELETE FROM Crm.public.orders o WHERE EXISTS (SELECT 1 FROM (SELECT id AS person FROM Crm.archive.people) AS orders WHERE orders.person = o.person)
=>
DELETE FROM public.orders WHERE person = 1

-- name: its name in a WITH inside, which looks at it
DELETE FROM Crm.public.orders o WHERE o.id IN (WITH orders AS (SELECT id FROM Crm.archive.orders WHERE id = o.id) SELECT orders.id FROM orders WHERE orders.id = o.id)
=>
DELETE FROM public.orders WHERE id IN (2, 3)

-- name: a derived table inside that looks at it
DELETE FROM Crm.public.orders o WHERE EXISTS (SELECT 1 FROM (SELECT orders.id FROM Crm.archive.orders WHERE orders.id = o.id) x)
=>
DELETE FROM public.orders WHERE id IN (2, 3)

-- name: three of one name, one in the other
DELETE FROM Crm.public.orders o WHERE EXISTS (SELECT 1 FROM Crm.archive.orders WHERE EXISTS (SELECT 1 FROM Crm.public.orders WHERE orders.id = o.id + 1 AND Crm.archive.orders.id = orders.id))
=>
DELETE FROM public.orders WHERE id IN (1, 2)

-- name: its alias again inside
DELETE FROM Crm.public.orders o WHERE EXISTS (SELECT 1 FROM Crm.archive.orders o WHERE o.id = 4 AND o.total = 30 AND person = 2)
=>
DELETE FROM public.orders WHERE person = 2

-- name: a column that only the one outside has
DELETE FROM Crm.public.people WHERE EXISTS (SELECT 1 FROM Crm.archive.people WHERE id = boss)
=>
DELETE FROM public.people WHERE boss = 1

-- name: aliases that differ by case alone
DELETE FROM Crm.public.orders x WHERE EXISTS (SELECT 1 FROM Crm.archive.orders "O" JOIN Crm.public.orders "o" ON "o".id = "O".id WHERE "O".total = 300 AND "o".id = x.id)
=>
DELETE FROM public.orders WHERE id = 3

-- name: a name that differs by case alone
DELETE FROM Crm.public."Orders" o WHERE EXISTS (SELECT 1 FROM Crm.public.orders WHERE orders.id = o.id AND orders.person = 1)
=>
DELETE FROM public."Orders" WHERE id IN (1, 2)

-- name: a name as long as PostgreSQL has them
DELETE FROM Crm.public.ooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo x WHERE EXISTS (SELECT 1 FROM Crm.archive.ooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo WHERE ooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo.id = x.id)
=>
DELETE FROM public.ooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo WHERE id = 2

-- name: a union inside
DELETE FROM Crm.public.orders o WHERE o.id IN (SELECT orders.id FROM Crm.archive.orders WHERE orders.id = o.id AND orders.total > 250 UNION SELECT people.id FROM Crm.archive.people WHERE people.id = o.person)
=>
DELETE FROM public.orders WHERE id IN (1, 3)

-- name: SET to a subquery
UPDATE Crm.public.people p SET boss = (SELECT MAX(people.id) FROM Crm.public.people WHERE people.city = p.city) WHERE p.id < 4
=>
UPDATE public.people SET boss = CASE id WHEN 2 THEN 2 ELSE 3 END WHERE id < 4

-- name: SET to several, with conditions of the same names
UPDATE Crm.public.people p SET p.name = UPPER(name), boss = (SELECT COUNT(*) FROM Crm.archive.people WHERE people.id = p.id) + p.id WHERE p.id IN (SELECT orders.person FROM Crm.public.orders JOIN Crm.archive.orders a ON a.id = orders.id WHERE orders.person = p.id)
=>
UPDATE public.people SET name = upper(name), boss = CASE id WHEN 1 THEN 2 ELSE 2 END WHERE id IN (1, 2)

-- name: SET of a column by its table's full name
UPDATE Crm.public.orders SET Crm.public.orders.total = Crm.public.orders.total + (SELECT SUM(orders.total) FROM Crm.archive.orders WHERE orders.id = Crm.public.orders.id) WHERE id > 1
=>
UPDATE public.orders SET total = CASE id WHEN 2 THEN 220 WHEN 3 THEN 330 END WHERE id > 1

-- name: a WITH inside an UPDATE
UPDATE Crm.public.orders SET total = 0 WHERE EXISTS (WITH best AS (SELECT person, MAX(total) AS total FROM Crm.public.orders GROUP BY person) SELECT 1 FROM best WHERE best.person = orders.person AND best.total = orders.total)
=>
UPDATE public.orders SET total = 0 WHERE id IN (2, 3)
