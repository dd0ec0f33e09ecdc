-- Statements as clients of the reference write them, each with what it means in plain PostgreSQL.
-- A line `=>` stands between the two; what follows it runs on the same tables by psql's own rules.
-- A statement that is PostgreSQL's already says `=> same`: only its names are cut to the tables'.

-- name: brackets
SELECT [id], [name] FROM [Crm].[public].[people] ORDER BY [id]
=>
SELECT id, name FROM people ORDER BY id

-- name: backticks
SELECT `id`, `name` FROM `Crm`.`public`.`people` ORDER BY `id`
=>
SELECT id, name FROM people ORDER BY id

-- name: double quotes
SELECT "id", "name" FROM "Crm"."public"."people" ORDER BY "id"
=>
SELECT id, name FROM people ORDER BY id

-- name: all quotes at once
SELECT p.[name], p."city", p.`age` FROM [Crm]."public".`people` AS p ORDER BY p.[id]
=>
SELECT name, city, age FROM people ORDER BY id

-- name: a name with a blank and a bracket
SELECT [Odd Name], [a]]b] FROM Crm.public.[odd table] ORDER BY 1
=>
SELECT "Odd Name", "a]b" FROM "odd table" ORDER BY 1

-- name: a quoted name with a doubled quote
SELECT "say ""hi""" FROM Crm.public."odd table" ORDER BY 1
=>
SELECT "say ""hi""" FROM "odd table" ORDER BY 1

-- name: names without case
select ID, NAME from CRM.PUBLIC.PEOPLE order by Id
=>
SELECT id, name FROM people ORDER BY id

-- name: columns that differ by case alone
SELECT "Code", "code" FROM Crm.public."odd table" ORDER BY "Code"
=>
SELECT "Code", "code" FROM "odd table" ORDER BY "Code"

-- name: a catalog and a table
SELECT COUNT(*) FROM Crm.public.people
=>
SELECT count(*) FROM people

-- name: a column by its full name
SELECT Crm.public.people.name FROM Crm.public.people ORDER BY Crm.public.people.id
=>
SELECT name FROM people ORDER BY id

-- name: an alias with blanks
SELECT name AS [The Name], age AS "The Age" FROM Crm.public.people ORDER BY [The Age], [The Name]
=>
SELECT name AS "The Name", age AS "The Age" FROM people ORDER BY 2, 1

-- name: an alias without AS
SELECT name n, age a FROM Crm.public.people p WHERE p.age > 30 ORDER BY a, n
=>
SELECT name, age FROM people WHERE age > 30 ORDER BY 2, 1

-- name: star
SELECT * FROM Crm.public.cities ORDER BY name
=>
SELECT * FROM cities ORDER BY name

-- name: star of one table
SELECT c.*, p.name FROM Crm.public.people p JOIN Crm.public.cities c ON c.name = p.city ORDER BY p.id
=>
SELECT c.*, p.name FROM people p JOIN cities c ON c.name = p.city ORDER BY p.id

-- name: comments
SELECT /* the name */ name -- and no more
FROM Crm.public.people ORDER BY id
=>
SELECT name FROM people ORDER BY id

-- name: a semicolon at the end
SELECT COUNT(*) FROM Crm.public.people;
=>
SELECT count(*) FROM people

-- name: TOP
SELECT TOP 3 name FROM Crm.public.people ORDER BY id
=>
SELECT name FROM people ORDER BY id LIMIT 3

-- name: TOP in parentheses
SELECT TOP (3) name FROM Crm.public.people ORDER BY id DESC
=>
SELECT name FROM people ORDER BY id DESC LIMIT 3

-- name: TOP with DISTINCT
SELECT DISTINCT TOP 2 city FROM Crm.public.people WHERE city IS NOT NULL ORDER BY city
=>
SELECT DISTINCT city FROM people WHERE city IS NOT NULL ORDER BY city LIMIT 2

-- name: TOP in a subquery
SELECT COUNT(*) FROM (SELECT TOP 4 id FROM Crm.public.people ORDER BY id) t
=>
SELECT count(*) FROM (SELECT id FROM people ORDER BY id LIMIT 4) t

-- name: LIMIT
SELECT name FROM Crm.public.people ORDER BY id LIMIT 2
=>
SELECT name FROM people ORDER BY id LIMIT 2

-- name: LIMIT and OFFSET
SELECT name FROM Crm.public.people ORDER BY id LIMIT 2 OFFSET 3
=>
SELECT name FROM people ORDER BY id LIMIT 2 OFFSET 3

-- name: OFFSET and FETCH
SELECT name FROM Crm.public.people ORDER BY id OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY
=>
SELECT name FROM people ORDER BY id OFFSET 2 LIMIT 3

-- name: FETCH FIRST
SELECT name FROM Crm.public.people ORDER BY id FETCH FIRST 1 ROW ONLY
=>
SELECT name FROM people ORDER BY id LIMIT 1

-- name: LIMIT 0
SELECT name FROM Crm.public.people LIMIT 0
=>
SELECT name FROM people LIMIT 0

-- name: DISTINCT
SELECT DISTINCT city FROM Crm.public.people
=>
SELECT DISTINCT city FROM people

-- name: COUNT DISTINCT
SELECT COUNT(DISTINCT city), COUNT(city), COUNT(*) FROM Crm.public.people
=>
SELECT count(DISTINCT city), count(city), count(*) FROM people

-- name: comparison
SELECT id FROM Crm.public.people WHERE age >= 40 AND age < 90 AND name <> 'Grace'
=>
SELECT id FROM people WHERE age >= 40 AND age < 90 AND name <> 'Grace'

-- name: not equal the other way
SELECT id FROM Crm.public.people WHERE name != 'Grace'
=>
SELECT id FROM people WHERE name <> 'Grace'

-- name: AND binds before OR
SELECT id FROM Crm.public.people WHERE age > 80 OR age > 30 AND city = 'London'
=>
SELECT id FROM people WHERE age > 80 OR (age > 30 AND city = 'London')

-- name: NOT
SELECT id FROM Crm.public.people WHERE NOT (age > 40)
=>
SELECT id FROM people WHERE NOT (age > 40)

-- name: IN
SELECT id FROM Crm.public.people WHERE city IN ('London', 'Paris')
=>
SELECT id FROM people WHERE city IN ('London', 'Paris')

-- name: NOT IN with NULL in the list
SELECT id FROM Crm.public.people WHERE city NOT IN ('London', NULL)
=>
SELECT id FROM people WHERE city NOT IN ('London', NULL)

-- name: BETWEEN
SELECT id FROM Crm.public.people WHERE age BETWEEN 36 AND 85
=>
SELECT id FROM people WHERE age BETWEEN 36 AND 85

-- name: NOT BETWEEN
SELECT id FROM Crm.public.people WHERE age NOT BETWEEN 36 AND 85
=>
SELECT id FROM people WHERE age NOT BETWEEN 36 AND 85

-- name: LIKE
SELECT id FROM Crm.public.people WHERE name LIKE 'G%' OR name LIKE '_da'
=>
SELECT id FROM people WHERE name LIKE 'G%' OR name LIKE '_da'

-- name: NOT LIKE
SELECT id FROM Crm.public.people WHERE name NOT LIKE '%a%'
=>
SELECT id FROM people WHERE name NOT LIKE '%a%'

-- name: LIKE with ESCAPE
SELECT id FROM Crm.public.people WHERE note LIKE '100!%%' ESCAPE '!'
=>
SELECT id FROM people WHERE note LIKE '100!%%' ESCAPE '!'

-- name: ILIKE
SELECT id FROM Crm.public.people WHERE name ILIKE 'g%'
=>
SELECT id FROM people WHERE name ILIKE 'g%'

-- name: quotes inside text
SELECT id FROM Crm.public.people WHERE note = 'it''s "quoted"'
=>
SELECT id FROM people WHERE note = 'it''s "quoted"'

-- name: text with signs of SQL in it
SELECT '; -- /* [x] "y" `z` @p1' AS t, note FROM Crm.public.people WHERE id = 1
=>
SELECT '; -- /* [x] "y" `z` @p1', note FROM people WHERE id = 1

-- name: a backslash is a backslash
SELECT 'a\nb', LENGTH('a\nb') FROM Crm.public.people WHERE id = 1
=>
SELECT 'a\nb', length('a\nb') FROM people WHERE id = 1

-- name: text beyond ASCII
SELECT id, name || ' – ünïcödé 漢字' FROM Crm.public.people WHERE id <= 2
=>
SELECT id, name || ' – ünïcödé 漢字' FROM people WHERE id <= 2

-- name: an empty text is no NULL
SELECT id FROM Crm.public.people WHERE note = ''
=>
SELECT id FROM people WHERE note = ''

-- name: IS NULL
SELECT id FROM Crm.public.people WHERE city IS NULL
=>
SELECT id FROM people WHERE city IS NULL

-- name: IS NOT NULL
SELECT id FROM Crm.public.people WHERE city IS NOT NULL AND age IS NOT NULL
=>
SELECT id FROM people WHERE city IS NOT NULL AND age IS NOT NULL

-- name: NULL equals nothing
SELECT id FROM Crm.public.people WHERE city = NULL OR city <> NULL
=>
SELECT id FROM people WHERE false

-- name: NULL in arithmetic
SELECT id, age + 1, age * NULL FROM Crm.public.people
=>
SELECT id, age + 1, NULL::int FROM people

-- name: NULL in a text
SELECT id, name || city FROM Crm.public.people
=>
SELECT id, name || city FROM people

-- name: three-valued AND and OR
SELECT id, (age > 40 AND city = 'London'), (age > 40 OR city = 'London') FROM Crm.public.people
=>
SELECT id, (age > 40 AND city = 'London'), (age > 40 OR city = 'London') FROM people

-- name: NOT of what is not known
SELECT id FROM Crm.public.people WHERE NOT (city = 'London')
=>
SELECT id FROM people WHERE NOT (city = 'London')

-- name: IS DISTINCT FROM
SELECT id FROM Crm.public.people WHERE city IS DISTINCT FROM 'London'
=>
SELECT id FROM people WHERE city IS DISTINCT FROM 'London'

-- name: IS NOT DISTINCT FROM NULL
SELECT id FROM Crm.public.people WHERE city IS NOT DISTINCT FROM NULL
=>
SELECT id FROM people WHERE city IS NULL

-- name: IS TRUE and IS FALSE
SELECT id, active IS TRUE, active IS FALSE, active IS NOT TRUE FROM Crm.public.people
=>
SELECT id, active IS TRUE, active IS FALSE, active IS NOT TRUE FROM people

-- name: COALESCE
SELECT id, COALESCE(city, note, 'nowhere') FROM Crm.public.people
=>
SELECT id, coalesce(city, note, 'nowhere') FROM people

-- name: ISNULL with two arguments
SELECT id, ISNULL(city, 'nowhere') FROM Crm.public.people
=>
SELECT id, coalesce(city, 'nowhere') FROM people

-- name: IFNULL and NVL
SELECT id, IFNULL(city, '-'), NVL(age, 0) FROM Crm.public.people
=>
SELECT id, coalesce(city, '-'), coalesce(age, 0) FROM people

-- name: NVL2
SELECT id, NVL2(city, 'somewhere', 'nowhere') FROM Crm.public.people
=>
SELECT id, CASE WHEN city IS NOT NULL THEN 'somewhere' ELSE 'nowhere' END FROM people

-- name: NULLIF
SELECT id, NULLIF(city, 'London') FROM Crm.public.people
=>
SELECT id, nullif(city, 'London') FROM people

-- name: IIF
SELECT id, IIF(age > 40, 'old', 'young') FROM Crm.public.people
=>
SELECT id, CASE WHEN age > 40 THEN 'old' ELSE 'young' END FROM people

-- name: CASE with conditions
SELECT id, CASE WHEN age IS NULL THEN '?' WHEN age > 80 THEN 'a' WHEN age > 40 THEN 'b' ELSE 'c' END FROM Crm.public.people
=>
SELECT id, CASE WHEN age IS NULL THEN '?' WHEN age > 80 THEN 'a' WHEN age > 40 THEN 'b' ELSE 'c' END FROM people

-- name: CASE with a value and no ELSE
SELECT id, CASE city WHEN 'London' THEN 1 WHEN 'Paris' THEN 2 END FROM Crm.public.people
=>
SELECT id, CASE city WHEN 'London' THEN 1 WHEN 'Paris' THEN 2 END FROM people

-- name: GREATEST and LEAST leave NULL out
SELECT id, GREATEST(age, 40), LEAST(age, 40) FROM Crm.public.people
=>
SELECT id, greatest(age, 40), least(age, 40) FROM people

-- name: NULL is the last in an order
SELECT id, city FROM Crm.public.people ORDER BY city, id
=>
SELECT id, city FROM people ORDER BY city NULLS LAST, id

-- name: and the first in a descending one
SELECT id, city FROM Crm.public.people ORDER BY city DESC, id
=>
SELECT id, city FROM people ORDER BY city DESC NULLS FIRST, id

-- name: NULLS FIRST
SELECT id, city FROM Crm.public.people ORDER BY city NULLS FIRST, id
=>
SELECT id, city FROM people ORDER BY city NULLS FIRST, id

-- name: order by a position
SELECT city, name FROM Crm.public.people WHERE city IS NOT NULL ORDER BY 1 DESC, 2
=>
SELECT city, name FROM people WHERE city IS NOT NULL ORDER BY city DESC, name

-- name: order by an expression
SELECT name FROM Crm.public.people WHERE age IS NOT NULL ORDER BY age * -1, LOWER(name)
=>
SELECT name FROM people WHERE age IS NOT NULL ORDER BY -age, lower(name)

-- name: order by what is not selected
SELECT name FROM Crm.public.people ORDER BY id DESC
=>
SELECT name FROM people ORDER BY id DESC

-- name: a whole number divided by a whole one
SELECT id, age / 7, age % 7 FROM Crm.public.people
=>
SELECT id, age / 7, age % 7 FROM people

-- name: a negative one
SELECT id, (0 - age) / 7, (0 - age) % 7 FROM Crm.public.people
=>
SELECT id, (0 - age) / 7, (0 - age) % 7 FROM people

-- name: a number divided by a decimal
SELECT id, age / 2.0 FROM Crm.public.people
=>
SELECT id, age / 2.0 FROM people

-- name: divisions in divisions
SELECT id, (age / 7) * 7 / 2, age / 7 / 2, 100 / (age / 7), (age % 7) / 2 FROM Crm.public.people
=>
SELECT id, (age / 7) * 7 / 2, age / 7 / 2, 100 / (age / 7), (age % 7) / 2 FROM people

-- name: zeros that nothing is divided by
SELECT id, boss / NULLIF(id - 3, 0), CASE WHEN id = 3 THEN 0 ELSE age / (id - 3) END,
  age % NULLIF(boss - 1, 0) FROM Crm.public.people WHERE 10 / id < 10
=>
SELECT id, boss / nullif(id - 3, 0), CASE WHEN id = 3 THEN 0 ELSE age / (id - 3) END,
  age % nullif(boss - 1, 0) FROM people WHERE 10 / id < 10

-- name: nothing divided by zero
SELECT SUM(age) / COUNT(*), AVG(age) / COUNT(*), NULL / (MAX(id) - MAX(id)) FROM Crm.public.people
WHERE id < 0
=>
SELECT sum(age) / count(*), avg(age) / count(*), NULL FROM people WHERE id < 0

-- name: groups of quotients
SELECT age / id AS q, COUNT(*) FROM Crm.public.people GROUP BY age / id HAVING age / id > 0
ORDER BY age / id
=>
SELECT age / id AS q, count(*) FROM people GROUP BY age / id HAVING age / id > 0 ORDER BY 1

-- name: precedence
SELECT 2 + 3 * 4 - 10 / 3, (2 + 3) * 4, -2 * -3, 7 % 4 * 2 FROM Crm.public.people WHERE id = 1
=>
SELECT 2 + 3 * 4 - 10 / 3, (2 + 3) * 4, 6, 7 % 4 * 2

-- name: MOD
SELECT id, MOD(age, 10) FROM Crm.public.people
=>
SELECT id, mod(age, 10) FROM people

-- name: ABS SIGN
SELECT id, ABS(age - 50), SIGN(age - 50) FROM Crm.public.people
=>
SELECT id, abs(age - 50), sign(age - 50) FROM people

-- name: ROUND
SELECT id, ROUND(total), ROUND(total, 1) FROM Crm.public.orders
=>
SELECT id, round(total), round(total, 1) FROM orders

-- name: CEILING CEIL FLOOR
SELECT id, CEILING(total), CEIL(total), FLOOR(total) FROM Crm.public.orders
=>
SELECT id, ceil(total), ceil(total), floor(total) FROM orders

-- name: TRUNCATE
SELECT id, TRUNCATE(total, 1), TRUNC(total) FROM Crm.public.orders
=>
SELECT id, trunc(total, 1), trunc(total) FROM orders

-- name: POWER SQRT SQUARE
SELECT id, POWER(age, 2), SQRT(age), SQUARE(age) FROM Crm.public.people
=>
SELECT id, power(age, 2), sqrt(age), power(age, 2) FROM people

-- name: LOG LOG10 LN EXP
SELECT id, LOG(age), LOG10(age), LN(age), LOG(age, 2), EXP(1) FROM Crm.public.people
=>
SELECT id, ln(age), log(age), ln(age), ln(age) / ln(2), exp(1) FROM people

-- name: PI and angles
SELECT PI(), SIN(0), COS(0), TAN(0), ATAN2(1, 1), DEGREES(PI()), RADIANS(180) FROM Crm.public.people WHERE id = 1
=>
SELECT pi(), sin(0), cos(0), tan(0), atan2(1, 1), degrees(pi()), radians(180)

-- name: UPPER LOWER
SELECT UPPER(name), LOWER(name) FROM Crm.public.people ORDER BY id
=>
SELECT upper(name), lower(name) FROM people ORDER BY id

-- name: LEN and LENGTH
SELECT id, LEN(name), LENGTH(name), CHAR_LENGTH(name) FROM Crm.public.people
=>
SELECT id, length(name), length(name), length(name) FROM people

-- name: SUBSTRING
SELECT id, SUBSTRING(name, 2, 3), SUBSTRING(name FROM 2 FOR 1) FROM Crm.public.people
=>
SELECT id, substr(name, 2, 3), substr(name, 2, 1) FROM people

-- name: LEFT RIGHT
SELECT id, LEFT(name, 2), RIGHT(name, 2) FROM Crm.public.people
=>
SELECT id, left(name, 2), right(name, 2) FROM people

-- name: TRIM LTRIM RTRIM
SELECT TRIM('  x '), LTRIM('  x '), RTRIM('  x ') || '|', TRIM(LEADING '0' FROM '007') FROM Crm.public.people WHERE id = 1
=>
SELECT 'x', 'x ', '  x|', '7'

-- name: LPAD RPAD
SELECT id, LPAD(name, 8, '.'), RPAD(name, 3, '*') FROM Crm.public.people
=>
SELECT id, lpad(name, 8, '.'), rpad(name, 3, '*') FROM people

-- name: REPLACE
SELECT id, REPLACE(name, 'a', 'A') FROM Crm.public.people
=>
SELECT id, replace(name, 'a', 'A') FROM people

-- name: REVERSE REPEAT REPLICATE SPACE
SELECT id, REVERSE(name), REPEAT(name, 2), REPLICATE('ab', 2), '[' || SPACE(3) || ']' FROM Crm.public.people
=>
SELECT id, reverse(name), repeat(name, 2), 'abab', '[   ]' FROM people

-- name: CHARINDEX LOCATE INSTR POSITION
SELECT id, CHARINDEX('a', name), LOCATE('a', name), INSTR(name, 'a'), POSITION('a' IN name) FROM Crm.public.people
=>
SELECT id, strpos(name, 'a'), strpos(name, 'a'), strpos(name, 'a'), strpos(name, 'a') FROM people

-- name: CHARINDEX from a place on
SELECT CHARINDEX('a', 'banana', 3), CHARINDEX('z', 'banana', 3) FROM Crm.public.people WHERE id = 1
=>
SELECT 4, 0

-- name: CONTAINS STARTSWITH ENDSWITH
SELECT id FROM Crm.public.people WHERE CONTAINS(name, 'ra') OR STARTSWITH(name, 'Al') OR ENDSWITH(name, 'a')
=>
SELECT id FROM people WHERE name LIKE '%ra%' OR name LIKE 'Al%' OR name LIKE '%a'

-- name: CONCAT takes NULL for nothing
SELECT id, CONCAT(name, ', ', city) FROM Crm.public.people
=>
SELECT id, concat(name, ', ', city) FROM people

-- name: CONCAT_WS
SELECT id, CONCAT_WS('/', name, city, note) FROM Crm.public.people
=>
SELECT id, concat_ws('/', name, city, note) FROM people

-- name: plus joins texts
SELECT id, name + ' of ' + city FROM Crm.public.people
=>
SELECT id, name || ' of ' || city FROM people

-- name: STUFF
SELECT STUFF('abcdef', 2, 3, 'XY') FROM Crm.public.people WHERE id = 1
=>
SELECT 'aXYef'

-- name: ASCII CHR
SELECT id, ASCII(name), CHR(65) FROM Crm.public.people
=>
SELECT id, ascii(name), 'A' FROM people

-- name: SPLIT_PART TRANSLATE
SELECT SPLIT_PART('a,b,c', ',', 2), TRANSLATE('abc', 'ac', 'xy') FROM Crm.public.people WHERE id = 1
=>
SELECT 'b', 'xby'

-- name: MD5
SELECT MD5('tide') FROM Crm.public.people WHERE id = 1
=>
SELECT md5('tide')

-- name: CAST to text
SELECT id, CAST(age AS VARCHAR(10)), CAST(total AS VARCHAR) FROM Crm.public.orders_of_people
=>
SELECT id, age::text, total::text FROM orders_of_people

-- name: CAST cuts
SELECT CAST(name AS VARCHAR(2)), CAST(name AS CHAR(3)) FROM Crm.public.people WHERE id <= 3
=>
SELECT left(name, 2), left(name, 3) FROM people WHERE id <= 3

-- name: CAST to numbers
SELECT CAST('12' AS INTEGER) + 1, CAST('1.50' AS DECIMAL(10, 2)), CAST(2 AS DOUBLE) / 4, CAST('7' AS BIGINT) FROM Crm.public.people WHERE id = 1
=>
SELECT 13, 1.50, 0.5::float8, 7::bigint

-- name: CAST to dates
SELECT CAST('2024-02-29' AS DATE), CAST('2024-02-29 12:30:00' AS TIMESTAMP), CAST('2024-02-29 12:30:00' AS DATETIME) FROM Crm.public.people WHERE id = 1
=>
SELECT '2024-02-29'::date, '2024-02-29 12:30:00'::timestamp, '2024-02-29 12:30:00'::timestamp

-- name: CONVERT
SELECT CONVERT(INT, '42'), CONVERT(VARCHAR(10), 42) FROM Crm.public.people WHERE id = 1
=>
SELECT 42, '42'

-- name: a double colon
SELECT '42'::int + 1, id::text FROM Crm.public.people WHERE id = 1
=>
SELECT 43, '1'

-- name: booleans and numbers
SELECT id FROM Crm.public.people WHERE active = 1
=>
SELECT id FROM people WHERE active

-- name: a boolean by itself
SELECT id FROM Crm.public.people WHERE active AND NOT (age > 80)
=>
SELECT id FROM people WHERE active AND NOT (age > 80)

-- name: TRUE and FALSE
SELECT id FROM Crm.public.people WHERE active = FALSE
=>
SELECT id FROM people WHERE NOT active

-- name: YEAR MONTH DAY
SELECT id, YEAR(day), MONTH(day), DAY(day) FROM Crm.public.orders
=>
SELECT id, extract(year FROM day)::int, extract(month FROM day)::int, extract(day FROM day)::int FROM orders

-- name: HOUR MINUTE SECOND
SELECT id, HOUR(placed), MINUTE(placed), SECOND(placed) FROM Crm.public.orders
=>
SELECT id, extract(hour FROM placed)::int, extract(minute FROM placed)::int, floor(extract(second FROM placed))::int FROM orders

-- name: QUARTER DAYOFYEAR
SELECT id, QUARTER(day), DAYOFYEAR(day) FROM Crm.public.orders
=>
SELECT id, extract(quarter FROM day)::int, extract(doy FROM day)::int FROM orders

-- name: WEEKDAY counts from Sunday
SELECT id, DAYOFWEEK(day), DATEPART(weekday, day) FROM Crm.public.orders
=>
SELECT id, extract(dow FROM day)::int + 1, extract(dow FROM day)::int + 1 FROM orders

-- name: MONTHNAME DAYNAME DATENAME
SELECT id, MONTHNAME(day), DAYNAME(day), DATENAME(month, day) FROM Crm.public.orders
=>
SELECT id, to_char(day, 'FMMonth'), to_char(day, 'FMDay'), to_char(day, 'FMMonth') FROM orders

-- name: DATEPART
SELECT id, DATEPART(year, day), DATEPART(mm, day), DATEPART('day', day), DATEPART(hh, placed) FROM Crm.public.orders
=>
SELECT id, extract(year FROM day)::int, extract(month FROM day)::int, extract(day FROM day)::int, extract(hour FROM placed)::int FROM orders

-- name: EXTRACT
SELECT id, EXTRACT(YEAR FROM day), EXTRACT(MONTH FROM placed) FROM Crm.public.orders
=>
SELECT id, extract(year FROM day), extract(month FROM placed) FROM orders

-- name: DATEADD
SELECT id, DATEADD(day, 1, day), DATEADD(month, 1, day), DATEADD(year, -1, day) FROM Crm.public.orders
=>
SELECT id, day + interval '1 day', day + interval '1 month', day - interval '1 year' FROM orders

-- name: DATEADD of quarters, weeks and hours
SELECT id, DATEADD(quarter, 1, day), DATEADD(week, -2, day), DATEADD(hour, 5, placed) FROM Crm.public.orders
=>
SELECT id, day + interval '3 months', day - interval '14 days', placed + interval '5 hours' FROM orders

-- name: DATEADD by a column
SELECT id, DATEADD(day, id, day) FROM Crm.public.orders
=>
SELECT id, day + id * interval '1 day' FROM orders

-- name: DATEDIFF in days
SELECT id, DATEDIFF(day, day, CAST('2024-03-01' AS DATE)) FROM Crm.public.orders
=>
SELECT id, ('2024-03-01'::date - day)::bigint FROM orders

-- name: DATEDIFF counts borders
SELECT DATEDIFF(month, '2024-01-31', '2024-02-01'), DATEDIFF(year, '2023-12-31', '2024-01-01'), DATEDIFF(hour, '2024-01-01 00:59:00', '2024-01-01 01:00:00'), DATEDIFF(quarter, '2023-01-01', '2024-04-01') FROM Crm.public.people WHERE id = 1
=>
SELECT 1::bigint, 1::bigint, 1::bigint, 5::bigint

-- name: DATEDIFF in minutes and seconds
SELECT DATEDIFF(minute, '2024-01-01 00:00:59', '2024-01-01 00:02:00'), DATEDIFF(second, '2024-01-01', '2024-01-02') FROM Crm.public.people WHERE id = 1
=>
SELECT 2::bigint, 86400::bigint

-- name: DATE_TRUNC
SELECT id, DATE_TRUNC('month', placed), DATETRUNC(year, placed) FROM Crm.public.orders
=>
SELECT id, date_trunc('month', placed), date_trunc('year', placed) FROM orders

-- name: EOMONTH and LAST_DAY
SELECT id, EOMONTH(day), LAST_DAY(day) FROM Crm.public.orders
=>
SELECT id, (date_trunc('month', day) + interval '1 month - 1 day')::date, (date_trunc('month', day) + interval '1 month - 1 day')::date FROM orders

-- name: DATEFROMPARTS
SELECT DATEFROMPARTS(2024, 2, 29) FROM Crm.public.people WHERE id = 1
=>
SELECT '2024-02-29'::date

-- name: DATE of a time
SELECT id, DATE(placed), CAST(placed AS DATE) FROM Crm.public.orders
=>
SELECT id, placed::date, placed::date FROM orders

-- name: a date as text in a comparison
SELECT id FROM Crm.public.orders WHERE day >= '2024-02-01' AND day < '2024-03-01'
=>
SELECT id FROM orders WHERE day >= '2024-02-01' AND day < '2024-03-01'

-- name: a date literal
SELECT id FROM Crm.public.orders WHERE day = DATE '2024-02-29'
=>
SELECT id FROM orders WHERE day = DATE '2024-02-29'

-- name: a timestamp literal
SELECT id FROM Crm.public.orders WHERE placed > TIMESTAMP '2024-02-01 09:00:00'
=>
SELECT id FROM orders WHERE placed > TIMESTAMP '2024-02-01 09:00:00'

-- name: intervals
SELECT id, day + INTERVAL '1' MONTH, placed - INTERVAL '2' DAY FROM Crm.public.orders
=>
SELECT id, day + interval '1 month', placed - interval '2 days' FROM orders

-- name: a date between dates
SELECT id FROM Crm.public.orders WHERE day BETWEEN '2024-01-31' AND '2024-02-01'
=>
SELECT id FROM orders WHERE day BETWEEN '2024-01-31' AND '2024-02-01'

-- name: orders after the first of this century
SELECT COUNT(*) FROM Crm.public.orders WHERE placed < GETDATE() AND day < CURRENT_DATE AND placed < NOW()
=>
SELECT count(*) FROM orders

-- name: grouping by year and month
SELECT YEAR(day) AS y, MONTH(day) AS m, SUM(total) AS total FROM Crm.public.orders GROUP BY YEAR(day), MONTH(day) ORDER BY y, m
=>
SELECT extract(year FROM day)::int, extract(month FROM day)::int, sum(total) FROM orders GROUP BY 1, 2 ORDER BY 1, 2

-- name: aggregates
SELECT COUNT(*), SUM(age), MIN(age), MAX(age) FROM Crm.public.people
=>
SELECT count(*), sum(age), min(age), max(age) FROM people

-- name: AVG of whole numbers
SELECT AVG(age) FROM Crm.public.people
=>
SELECT avg(age) FROM people

-- name: sums of decimals are exact
SELECT SUM(total), SUM(total * 3), AVG(total) FROM Crm.public.orders
=>
SELECT sum(total), sum(total * 3), avg(total) FROM orders

-- name: aggregates of nothing
SELECT COUNT(*), SUM(age), MAX(name), AVG(age) FROM Crm.public.people WHERE id > 1000
=>
SELECT 0::bigint, NULL::bigint, NULL::text, NULL::numeric

-- name: MIN and MAX of texts and dates
SELECT MIN(name), MAX(name), MIN(day), MAX(placed) FROM Crm.public.people p JOIN Crm.public.orders o ON o.person = p.id
=>
SELECT min(name), max(name), min(day), max(placed) FROM people p JOIN orders o ON o.person = p.id

-- name: STDDEV and VARIANCE
SELECT STDDEV(age), VARIANCE(age), STDDEV_POP(age), VAR_POP(age) FROM Crm.public.people
=>
SELECT stddev(age), variance(age), stddev_pop(age), var_pop(age) FROM people

-- name: GROUP BY
SELECT city, COUNT(*), SUM(age) FROM Crm.public.people GROUP BY city
=>
SELECT city, count(*), sum(age) FROM people GROUP BY city

-- name: GROUP BY a position
SELECT city, COUNT(*) FROM Crm.public.people GROUP BY 1
=>
SELECT city, count(*) FROM people GROUP BY city

-- name: HAVING
SELECT city, COUNT(*) AS n FROM Crm.public.people GROUP BY city HAVING COUNT(*) > 1
=>
SELECT city, count(*) FROM people GROUP BY city HAVING count(*) > 1

-- name: HAVING without GROUP BY
SELECT SUM(age) FROM Crm.public.people HAVING COUNT(*) > 100
=>
SELECT sum(age) FROM people HAVING count(*) > 100

-- name: GROUP BY an expression
SELECT UPPER(LEFT(name, 1)) AS first, COUNT(*) FROM Crm.public.people GROUP BY UPPER(LEFT(name, 1)) ORDER BY first
=>
SELECT upper(left(name, 1)), count(*) FROM people GROUP BY 1 ORDER BY 1

-- name: ROLLUP
SELECT city, active, COUNT(*) FROM Crm.public.people GROUP BY ROLLUP (city, active)
=>
SELECT city, active, count(*) FROM people GROUP BY ROLLUP (city, active)

-- name: CUBE
SELECT city, active, COUNT(*) FROM Crm.public.people GROUP BY CUBE (city, active)
=>
SELECT city, active, count(*) FROM people GROUP BY CUBE (city, active)

-- name: GROUPING SETS
SELECT city, active, COUNT(*), GROUPING(city) FROM Crm.public.people GROUP BY GROUPING SETS ((city), (active), ())
=>
SELECT city, active, count(*), grouping(city) FROM people GROUP BY GROUPING SETS ((city), (active), ())

-- name: FILTER
SELECT COUNT(*) FILTER (WHERE age > 40), SUM(age) FILTER (WHERE city = 'London') FROM Crm.public.people
=>
SELECT count(*) FILTER (WHERE age > 40), sum(age) FILTER (WHERE city = 'London') FROM people

-- name: conditional sums
SELECT SUM(CASE WHEN city = 'London' THEN 1 ELSE 0 END), COUNT(CASE WHEN age > 40 THEN 1 END) FROM Crm.public.people
=>
SELECT count(*) FILTER (WHERE city = 'London'), count(*) FILTER (WHERE age > 40) FROM people

-- name: STRING_AGG
SELECT STRING_AGG(name, ', ' ORDER BY name) FROM Crm.public.people WHERE city = 'London'
=>
SELECT string_agg(name, ', ' ORDER BY name) FROM people WHERE city = 'London'

-- name: BOOL_AND BOOL_OR
SELECT city, BOOL_AND(active), BOOL_OR(active) FROM Crm.public.people GROUP BY city
=>
SELECT city, bool_and(active), bool_or(active) FROM people GROUP BY city

-- name: PERCENTILE_CONT
SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY age) FROM Crm.public.people
=>
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY age) FROM people

-- name: inner join
SELECT p.name, o.total FROM Crm.public.people p INNER JOIN Crm.public.orders o ON o.person = p.id ORDER BY o.id
=>
SELECT p.name, o.total FROM people p JOIN orders o ON o.person = p.id ORDER BY o.id

-- name: left join
SELECT p.name, o.total FROM Crm.public.people p LEFT OUTER JOIN Crm.public.orders o ON o.person = p.id
=>
SELECT p.name, o.total FROM people p LEFT JOIN orders o ON o.person = p.id

-- name: left join with a condition of the right table
SELECT p.name, o.total FROM Crm.public.people p LEFT JOIN Crm.public.orders o ON o.person = p.id AND o.total > 15
=>
SELECT p.name, o.total FROM people p LEFT JOIN orders o ON o.person = p.id AND o.total > 15

-- name: left join with a condition of the left table
SELECT p.name, o.total FROM Crm.public.people p LEFT JOIN Crm.public.orders o ON o.person = p.id AND p.age > 40
=>
SELECT p.name, o.total FROM people p LEFT JOIN orders o ON o.person = p.id AND p.age > 40

-- name: right join
SELECT p.name, o.id FROM Crm.public.orders o RIGHT JOIN Crm.public.people p ON o.person = p.id AND o.total > 15
=>
SELECT p.name, o.id FROM orders o RIGHT JOIN people p ON o.person = p.id AND o.total > 15

-- name: full join
SELECT p.name, c.country FROM Crm.public.people p FULL JOIN Crm.public.cities c ON c.name = p.city
=>
SELECT p.name, c.country FROM people p FULL JOIN cities c ON c.name = p.city

-- name: full join with a condition in WHERE
SELECT p.name, c.country FROM Crm.public.people p FULL JOIN Crm.public.cities c ON c.name = p.city WHERE p.id IS NULL
=>
SELECT p.name, c.country FROM people p FULL JOIN cities c ON c.name = p.city WHERE p.id IS NULL

-- name: cross join
SELECT COUNT(*) FROM Crm.public.people CROSS JOIN Crm.public.cities
=>
SELECT count(*) FROM people CROSS JOIN cities

-- name: tables with commas
SELECT p.name, c.country FROM Crm.public.people p, Crm.public.cities c WHERE p.city = c.name
=>
SELECT p.name, c.country FROM people p, cities c WHERE p.city = c.name

-- name: join with USING
SELECT COUNT(*) FROM Crm.public.people a JOIN Crm.public.orders_of_people b USING (id)
=>
SELECT count(*) FROM people a JOIN orders_of_people b USING (id)

-- name: self join
SELECT a.name, b.name FROM Crm.public.people a JOIN Crm.public.people b ON a.city = b.city AND a.id < b.id
=>
SELECT a.name, b.name FROM people a JOIN people b ON a.city = b.city AND a.id < b.id

-- name: three tables
SELECT p.name, c.country, SUM(o.total) FROM Crm.public.people p JOIN Crm.public.orders o ON o.person = p.id JOIN Crm.public.cities c ON c.name = p.city GROUP BY p.name, c.country
=>
SELECT p.name, c.country, sum(o.total) FROM people p JOIN orders o ON o.person = p.id JOIN cities c ON c.name = p.city GROUP BY p.name, c.country

-- name: join on an inequality
SELECT p.id, o.id FROM Crm.public.people p JOIN Crm.public.orders o ON o.total > p.age
=>
SELECT p.id, o.id FROM people p JOIN orders o ON o.total > p.age

-- name: a subquery as a value
SELECT name, (SELECT COUNT(*) FROM Crm.public.orders o WHERE o.person = p.id) FROM Crm.public.people p
=>
SELECT name, (SELECT count(*) FROM orders o WHERE o.person = p.id) FROM people p

-- name: IN a subquery
SELECT name FROM Crm.public.people WHERE id IN (SELECT person FROM Crm.public.orders WHERE total > 15)
=>
SELECT name FROM people WHERE id IN (SELECT person FROM orders WHERE total > 15)

-- name: NOT IN a subquery with NULL
SELECT name FROM Crm.public.people WHERE city NOT IN (SELECT city FROM Crm.public.people WHERE id > 3)
=>
SELECT name FROM people WHERE city NOT IN (SELECT city FROM people WHERE id > 3)

-- name: EXISTS
SELECT name FROM Crm.public.people p WHERE EXISTS (SELECT * FROM Crm.public.orders o WHERE o.person = p.id)
=>
SELECT name FROM people p WHERE EXISTS (SELECT FROM orders o WHERE o.person = p.id)

-- name: NOT EXISTS
SELECT name FROM Crm.public.people p WHERE NOT EXISTS (SELECT 1 FROM Crm.public.orders o WHERE o.person = p.id AND o.total > 10)
=>
SELECT name FROM people p WHERE NOT EXISTS (SELECT FROM orders o WHERE o.person = p.id AND o.total > 10)

-- name: ALL and ANY
SELECT name FROM Crm.public.people WHERE age >= ALL (SELECT age FROM Crm.public.people WHERE age IS NOT NULL) OR age = ANY (SELECT 36)
=>
SELECT name FROM people WHERE age >= ALL (SELECT age FROM people WHERE age IS NOT NULL) OR age = 36

-- name: a comparison with a subquery
SELECT name FROM Crm.public.people WHERE age > (SELECT AVG(age) FROM Crm.public.people)
=>
SELECT name FROM people WHERE age > (SELECT avg(age) FROM people)

-- name: a derived table
SELECT t.city, t.n FROM (SELECT city, COUNT(*) AS n FROM Crm.public.people GROUP BY city) AS t WHERE t.n > 1
=>
SELECT city, count(*) FROM people GROUP BY city HAVING count(*) > 1

-- name: a derived table with column names
SELECT x, y FROM (SELECT id, name FROM Crm.public.people) AS t (x, y) ORDER BY x
=>
SELECT id, name FROM people ORDER BY id

-- name: derived tables in derived tables
SELECT MAX(n) FROM (SELECT city, COUNT(*) AS n FROM (SELECT * FROM Crm.public.people WHERE age > 20) AS a GROUP BY city) AS b
=>
SELECT max(n) FROM (SELECT count(*) AS n FROM people WHERE age > 20 GROUP BY city) AS b

-- name: a common table expression
WITH londoners AS (SELECT * FROM Crm.public.people WHERE city = 'London') SELECT name FROM londoners ORDER BY id
=>
SELECT name FROM people WHERE city = 'London' ORDER BY id

-- name: several, one over the other
WITH a AS (SELECT id, age FROM Crm.public.people), b AS (SELECT id FROM a WHERE age > 40) SELECT COUNT(*) FROM b JOIN a ON a.id = b.id
=>
SELECT count(*) FROM people WHERE age > 40

-- name: one with column names
WITH t (k, v) AS (SELECT id, name FROM Crm.public.people) SELECT v FROM t WHERE k = 2
=>
SELECT name FROM people WHERE id = 2

-- name: a recursive one
WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 5) SELECT i, p.name FROM n LEFT JOIN Crm.public.people p ON p.id = i
=>
SELECT i, p.name FROM generate_series(1, 5) AS i LEFT JOIN people p ON p.id = i

-- name: the chain of managers
WITH RECURSIVE chain AS (SELECT id, name, boss, 0 AS depth FROM Crm.public.people WHERE boss IS NULL UNION ALL SELECT p.id, p.name, p.boss, c.depth + 1 FROM Crm.public.people p JOIN chain c ON p.boss = c.id) SELECT name, depth FROM chain
=>
WITH RECURSIVE chain AS (SELECT id, name, 0 AS depth FROM people WHERE boss IS NULL UNION ALL SELECT p.id, p.name, c.depth + 1 FROM people p JOIN chain c ON p.boss = c.id) SELECT name, depth FROM chain

-- name: a table of the same name as a common table expression
WITH people AS (SELECT id FROM Crm.public.people WHERE id < 3) SELECT COUNT(*) FROM people
=>
SELECT 2::bigint

-- name: UNION
SELECT city FROM Crm.public.people UNION SELECT name FROM Crm.public.cities
=>
SELECT city FROM people UNION SELECT name FROM cities

-- name: UNION ALL
SELECT city FROM Crm.public.people UNION ALL SELECT name FROM Crm.public.cities
=>
SELECT city FROM people UNION ALL SELECT name FROM cities

-- name: INTERSECT
SELECT city FROM Crm.public.people INTERSECT SELECT name FROM Crm.public.cities
=>
SELECT city FROM people INTERSECT SELECT name FROM cities

-- name: EXCEPT
SELECT name FROM Crm.public.cities EXCEPT SELECT city FROM Crm.public.people
=>
SELECT name FROM cities EXCEPT SELECT city FROM people

-- name: a union in an order, cut
SELECT name AS n FROM Crm.public.people UNION SELECT name FROM Crm.public.cities ORDER BY n LIMIT 3
=>
SELECT name FROM people UNION SELECT name FROM cities ORDER BY name LIMIT 3

-- name: unions in parentheses
(SELECT id FROM Crm.public.people WHERE id < 3) UNION ALL (SELECT id FROM Crm.public.orders WHERE id > 2)
=>
SELECT id FROM people WHERE id < 3 UNION ALL SELECT id FROM orders WHERE id > 2

-- name: a union in a derived table
SELECT COUNT(*) FROM (SELECT id FROM Crm.public.people UNION ALL SELECT id FROM Crm.public.orders) u
=>
SELECT count(*) FROM (SELECT id FROM people UNION ALL SELECT id FROM orders) u

-- name: a union of numbers and decimals
SELECT id FROM Crm.public.people WHERE id = 1 UNION ALL SELECT total FROM Crm.public.orders WHERE id = 1
=>
SELECT id::numeric FROM people WHERE id = 1 UNION ALL SELECT total FROM orders WHERE id = 1

-- name: VALUES
SELECT v.a, p.name FROM (VALUES (1, 'x'), (2, 'y')) AS v (a, b) JOIN Crm.public.people p ON p.id = v.a
=>
SELECT id, name FROM people WHERE id IN (1, 2)

-- name: ROW_NUMBER
SELECT id, ROW_NUMBER() OVER (ORDER BY id DESC) FROM Crm.public.people
=>
SELECT id, row_number() OVER (ORDER BY id DESC) FROM people

-- name: RANK and DENSE_RANK in parts
SELECT id, RANK() OVER (PARTITION BY active ORDER BY city), DENSE_RANK() OVER (PARTITION BY active ORDER BY city) FROM Crm.public.people WHERE city IS NOT NULL
=>
SELECT id, rank() OVER (PARTITION BY active ORDER BY city), dense_rank() OVER (PARTITION BY active ORDER BY city) FROM people WHERE city IS NOT NULL

-- name: a running sum
SELECT id, SUM(total) OVER (ORDER BY id) FROM Crm.public.orders
=>
SELECT id, sum(total) OVER (ORDER BY id) FROM orders

-- name: a frame of rows
SELECT id, AVG(total) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM Crm.public.orders
=>
SELECT id, avg(total) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM orders

-- name: LAG and LEAD
SELECT id, LAG(total) OVER (ORDER BY id), LEAD(total, 1, 0) OVER (ORDER BY id) FROM Crm.public.orders
=>
SELECT id, lag(total) OVER (ORDER BY id), lead(total, 1, 0::numeric) OVER (ORDER BY id) FROM orders

-- name: FIRST_VALUE and LAST_VALUE
SELECT id, FIRST_VALUE(name) OVER (PARTITION BY city ORDER BY id), LAST_VALUE(name) OVER (PARTITION BY city ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM Crm.public.people
=>
SELECT id, first_value(name) OVER (PARTITION BY city ORDER BY id), last_value(name) OVER (PARTITION BY city ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) FROM people

-- name: NTILE PERCENT_RANK CUME_DIST
SELECT id, NTILE(2) OVER (ORDER BY id), PERCENT_RANK() OVER (ORDER BY id), CUME_DIST() OVER (ORDER BY id) FROM Crm.public.people
=>
SELECT id, ntile(2) OVER (ORDER BY id), percent_rank() OVER (ORDER BY id), cume_dist() OVER (ORDER BY id) FROM people

-- name: a named window
SELECT id, SUM(total) OVER w, COUNT(*) OVER w FROM Crm.public.orders WINDOW w AS (PARTITION BY person ORDER BY id)
=>
SELECT id, sum(total) OVER w, count(*) OVER w FROM orders WINDOW w AS (PARTITION BY person ORDER BY id)

-- name: the first of each part
SELECT id, name FROM (SELECT id, name, ROW_NUMBER() OVER (PARTITION BY city ORDER BY age DESC, id) AS n FROM Crm.public.people WHERE age IS NOT NULL) t WHERE n = 1
=>
SELECT * FROM (SELECT DISTINCT ON (city) id, name FROM people WHERE age IS NOT NULL ORDER BY city, age DESC, id) t

-- name: a share of the whole
SELECT id, total / SUM(total) OVER () > 0.5 FROM Crm.public.orders
=>
SELECT id, total / (SELECT sum(total) FROM orders) > 0.5 FROM orders

-- name: aggregates inside windows
SELECT city, COUNT(*), RANK() OVER (ORDER BY COUNT(*) DESC) FROM Crm.public.people GROUP BY city
=>
SELECT city, n, rank() OVER (ORDER BY n DESC) FROM (SELECT city, count(*) AS n FROM people GROUP BY city) t

-- name: a statement without a table
SELECT 1 + 1 AS two, 'x' AS x, NULL AS nothing
=>
SELECT 2, 'x', NULL

-- name: numbers as they are written
SELECT 1.10, 0.5, 1e3, 12345678901234567890, -7 FROM Crm.public.people WHERE id = 1
=>
SELECT 1.10, 0.5, 1e3::float8, 12345678901234567890, -7

-- name: large numbers keep their digits
SELECT big, big + 1 FROM Crm.public.orders_of_people ORDER BY id
=>
SELECT big, big + 1 FROM orders_of_people ORDER BY id

-- name: decimals keep their digits
SELECT total, total * 1.5, total + 0.005 FROM Crm.public.orders ORDER BY id
=>
SELECT total, total * 1.5, total + 0.005 FROM orders ORDER BY id

-- name: parts of a time with a zone
SELECT id, YEAR(at), MONTH(at), DAY(at), DATEPART(hour, at), EXTRACT(minute FROM at) FROM Crm.public.visits ORDER BY id
=>
SELECT id, extract(year FROM at AT TIME ZONE 'UTC')::int, extract(month FROM at AT TIME ZONE 'UTC')::int,
       extract(day FROM at AT TIME ZONE 'UTC')::int, extract(hour FROM at AT TIME ZONE 'UTC')::int,
       extract(minute FROM at AT TIME ZONE 'UTC')::int
  FROM visits ORDER BY id

-- name: a pattern in which a sign is escaped
SELECT id FROM Crm.public.visits WHERE code LIKE 'A\_%' ORDER BY id
=>
SELECT id FROM visits WHERE code LIKE 'A\_%' ORDER BY id

-- name: what is not like a pattern in which a sign is escaped
SELECT id FROM Crm.public.visits WHERE code NOT LIKE 'A\_%' ORDER BY id
=>
SELECT id FROM visits WHERE code NOT LIKE 'A\_%' ORDER BY id

-- name: a pattern with a backslash
SELECT id FROM Crm.public.visits WHERE code ILIKE 'A\\b' OR code LIKE 'AB_' ORDER BY id
=>
SELECT id FROM visits WHERE code ILIKE 'A\\b' OR code LIKE 'AB_' ORDER BY id

-- name: patterns of a column
SELECT v.id, w.id FROM Crm.public.visits v JOIN Crm.public.visits w ON v.code LIKE w.pattern ORDER BY v.id, w.id
=>
SELECT v.id, w.id FROM visits v JOIN visits w ON v.code LIKE w.pattern ORDER BY v.id, w.id

-- name: another sign escapes
SELECT id FROM Crm.public.visits WHERE code LIKE 'A!_%' ESCAPE '!' ORDER BY id
=>
SELECT id FROM visits WHERE code LIKE 'A!_%' ESCAPE '!' ORDER BY id

-- name: a sum of large whole numbers divided by a whole one
SELECT SUM(CAST(age AS BIGINT)) / 7, (1 + SUM(CAST(age AS BIGINT))) / 7 / 2 FROM Crm.public.people
=>
SELECT sum(age) / 7, (1 + sum(age)) / 7 / 2 FROM people

-- name: such sums in a derived table
SELECT t.s / 7, t.q / 2 FROM (SELECT SUM(CAST(age AS BIGINT)) AS s, SUM(CAST(age AS BIGINT)) / 3 AS q FROM Crm.public.people) t
=>
SELECT sum(age) / 7, sum(age) / 3 / 2 FROM people

-- name: parts of times divided by whole numbers
SELECT id, EXTRACT(hour FROM placed) / 24, HOUR(placed) / 5, EXTRACT(second FROM placed) / 2 FROM Crm.public.orders
=>
SELECT id, 0, extract(hour FROM placed)::int / 5, extract(second FROM placed) / 2 FROM orders

-- name: seconds are not rounded
SELECT id, SECOND(at), DATEPART(ss, at), EXTRACT(second FROM at) FROM Crm.public.visits
=>
SELECT id, floor(extract(second FROM at))::int, floor(extract(second FROM at))::int, extract(second FROM at) FROM visits

-- name: functions of times in one another
SELECT id, DATEADD(day, 1, DATEADD(month, DATEPART(month, day), day)), YEAR(DATEFROMPARTS(YEAR(day), MONTH(day), 1)) FROM Crm.public.orders
=>
SELECT id, day + extract(month FROM day)::int * interval '1 month' + interval '1 day', extract(year FROM day)::int FROM orders

-- name: times between times
SELECT id, placed - CAST('2024-02-01' AS TIMESTAMP), CAST('1 year 2 months 3 days 00:00:01.5' AS INTERVAL) FROM Crm.public.orders
=>
SELECT id, placed - '2024-02-01'::timestamp, interval '1 year 2 months 3 days 00:00:01.5' FROM orders

-- name: decimals without a precision
SELECT id, CAST('1.23456' AS DECIMAL), CAST(total AS DECIMAL) * CAST(id AS NUMERIC), CONVERT(DECIMAL, CAST(total AS DOUBLE) / 8) FROM Crm.public.orders
=>
SELECT id, 1.23456, total * id, total / 8 FROM orders

-- name: LOG10 of a double
SELECT id, LOG10(id), LOG10(CAST(id AS DOUBLE)) FROM Crm.public.people
=>
SELECT id, log(id::float8), log(id::float8) FROM people

-- name: a decimal and a double, rounded
SELECT id, ROUND(total * CAST(0.5 AS DOUBLE), 1), ROUND(CAST(0.5 AS DOUBLE) * id, 0) FROM Crm.public.orders WHERE id <> 1 AND id <> 3 AND id <> 5
=>
SELECT id, round(total * 0.5, 1), round(0.5 * id) FROM orders WHERE id IN (2, 4)

-- name: a subquery, rounded
SELECT name, ROUND((SELECT AVG(age) FROM Crm.public.people), 1) FROM Crm.public.cities
=>
SELECT name, round((SELECT avg(age) FROM people), 1) FROM cities

-- name: FETCH FIRST without a number
SELECT 'x' AS x FROM Crm.public.people FETCH FIRST ROW ONLY
=>
SELECT 'x'

-- name: numbers that the columns cannot hold
SELECT id FROM Crm.public.people WHERE id < 99999999999 AND age > -99999999999
=>
SELECT id FROM people WHERE age IS NOT NULL

-- name: order by an expression over a column with a capital letter
SELECT [Odd Name], Code FROM Crm.public.[odd table] ORDER BY LENGTH([Odd Name]), UPPER("Code") DESC
=>
SELECT "Odd Name", "Code" FROM "odd table" ORDER BY length("Odd Name"), upper("Code") DESC

-- name: order by an expression over an output
SELECT city AS place, COUNT(*) AS number FROM Crm.public.people WHERE city IS NOT NULL GROUP BY city ORDER BY number * -1, LENGTH(place)
=>
SELECT city, count(*) FROM people WHERE city IS NOT NULL GROUP BY city ORDER BY count(*) * -1, length(city)

-- name: in an expression of ORDER BY a column comes before an output
SELECT UPPER(LEFT(name, 1)) AS name FROM Crm.public.people ORDER BY LENGTH(name), name
=>
SELECT upper(left(name, 1)) AS name FROM people ORDER BY length(name), name

-- name: the table outside by its full name
SELECT COUNT(*) FROM Crm.public.orders WHERE EXISTS (SELECT 1 FROM Crm.public.orders o WHERE o.person = Crm.public.orders.person AND o.id < Crm.public.orders.id)
=>
SELECT count(*) FROM orders a WHERE EXISTS (SELECT 1 FROM orders o WHERE o.person = a.person AND o.id < a.id)

-- name: one alias inside and outside
SELECT o.id FROM Crm.public.people o WHERE EXISTS (SELECT 1 FROM Crm.public.orders o WHERE o.person = boss)
=>
SELECT id FROM people p WHERE EXISTS (SELECT 1 FROM orders o WHERE o.person = p.boss)

-- name: aliases that differ by case alone
SELECT "P".id, "p".name FROM Crm.public.people "P" JOIN Crm.public.people "p" ON "P".boss = "p".id
=>
SELECT a.id, b.name FROM people a JOIN people b ON a.boss = b.id

-- name: LOG of a double to a base
SELECT id, LOG(CAST(id AS DOUBLE), 2), LOG(CAST(id AS DOUBLE), CAST(3 AS DOUBLE)), LOG(id, id + 1) FROM Crm.public.people
=>
SELECT id, ln(id) / ln(2), ln(id) / ln(3), ln(id) / ln(id + 1) FROM people

-- name: digits of a large type
SELECT id, ROUND(total, CAST(1 AS BIGINT)), TRUNC(total, CAST(1 AS BIGINT) - 1) FROM Crm.public.orders
=>
SELECT id, round(total, 1), trunc(total) FROM orders

-- name: lengths of a large type
SELECT id, LEFT(name, CAST(2 AS BIGINT)), RIGHT(name, CAST(id AS BIGINT)), SUBSTRING(name, CAST(2 AS BIGINT), CAST(id AS BIGINT)), REPEAT('x', CAST(id AS BIGINT)), LPAD(name, CAST(8 AS BIGINT), '.'), RPAD(name, CAST(8 AS BIGINT), '.'), SPACE(CAST(id AS BIGINT)), SPLIT_PART(name, 'a', CAST(2 AS BIGINT)), CHR(CAST(id AS BIGINT) + 64), STUFF(name, CAST(1 AS BIGINT), CAST(2 AS BIGINT), 'z') FROM Crm.public.people
=>
SELECT id, left(name, 2), right(name, id), substr(name, 2, id), repeat('x', id), lpad(name, 8, '.'), rpad(name, 8, '.'), repeat(' ', id), split_part(name, 'a', 2), chr(id + 64), 'z' || substr(name, 3) FROM people

-- name: times of a large type
SELECT id, DATEADD(day, CAST(id AS BIGINT), day), DATEFROMPARTS(CAST(2024 AS BIGINT), CAST(id AS BIGINT), 1) FROM Crm.public.orders
=>
SELECT id, day + id, make_date(2024, id, 1) FROM orders

-- name: lengths that are lengths
SELECT id, LPAD(name, LENGTH(name) + 2, '-'), RPAD(name, LEN(city), '-'), ROUND(total_age, LENGTH('ab') - 1), LEFT(name, LENGTH(name) - 1) FROM (SELECT id, name, city, age * 1.25 AS total_age FROM Crm.public.people) AS one
=>
SELECT id, lpad(name, length(name) + 2, '-'), rpad(name, length(city), '-'), round(age * 1.25, 1), left(name, length(name) - 1) FROM people

-- name: rows before of a large type
SELECT id, LAG(id, CAST(2 AS BIGINT)) OVER (ORDER BY id), LEAD(name, CAST(1 AS BIGINT)) OVER (ORDER BY id), NTH_VALUE(id, CAST(2 AS BIGINT)) OVER (ORDER BY id), NTILE(CAST(3 AS BIGINT)) OVER (ORDER BY id), OVERLAY(name PLACING 'zz' FROM CAST(2 AS BIGINT) FOR CAST(1 AS BIGINT)) FROM Crm.public.people
=>
SELECT id, lag(id, 2) OVER w, lead(name, 1) OVER w, nth_value(id, 2) OVER w, ntile(3) OVER w, overlay(name placing 'zz' FROM 2 FOR 1) FROM people WINDOW w AS (ORDER BY id)

-- name: angles
SELECT id, ACOS(id / 10.0), ASIN(id / 10.0), ATAN(id), ATN2(id, 2), COT(id), CBRT(id) FROM Crm.public.people
=>
SELECT id, acos(id / 10.0), asin(id / 10.0), atan(id), atan2(id, 2), cot(id), cbrt(id) FROM people

-- name: two columns in one number
SELECT ROUND(CORR(age, id), 9), ROUND(COVAR_POP(age, id), 6), ROUND(COVAR_SAMP(age, id), 6), ROUND(STDDEV_SAMP(age), 6) FROM Crm.public.people
=>
SELECT round(corr(age, id)::numeric, 9), round(covar_pop(age, id)::numeric, 6), round(covar_samp(age, id)::numeric, 6), round(stddev_samp(age), 6) FROM people

-- name: MODE PERCENTILE_DISC
SELECT MODE() WITHIN GROUP (ORDER BY city), PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY age) FROM Crm.public.people
=>
SELECT mode() WITHIN GROUP (ORDER BY city), percentile_disc(0.5) WITHIN GROUP (ORDER BY age) FROM people

-- name: lists of names
SELECT LISTAGG(name, ', ') WITHIN GROUP (ORDER BY id), GROUP_CONCAT(name ORDER BY id DESC SEPARATOR '-') FROM Crm.public.people
=>
SELECT string_agg(name, ', ' ORDER BY id), string_agg(name, '-' ORDER BY id DESC) FROM people

-- name: INITCAP
SELECT INITCAP(note), INITCAP('hello wORLD-wide o''neil 3rd x_y'), INITCAP('') FROM Crm.public.people
=>
SELECT initcap(note), initcap('hello wORLD-wide o''neil 3rd x_y'), initcap('') FROM people

-- name: OVERLAY
SELECT id, OVERLAY(name PLACING 'XX' FROM 2), OVERLAY(name PLACING 'XX' FROM 2 FOR 4), OVERLAY(name PLACING city FROM id FOR 0), OVERLAY(name PLACING '' FROM 1 FOR 2) FROM Crm.public.people
=>
SELECT id, overlay(name placing 'XX' from 2), overlay(name placing 'XX' from 2 for 4), overlay(name placing city from id for 0), overlay(name placing '' from 1 for 2) FROM people

-- name: places and texts
SELECT id, INDEXOF(name, 'a'), STRPOS(name, 'd'), STR(age), TOSTRING(total_age), DAYOFMONTH(CAST('2024-02-29' AS DATE)) FROM (SELECT id, name, age, age * 2 AS total_age FROM Crm.public.people) AS one
=>
SELECT id, position('a' IN name), position('d' IN name), age::text, (age * 2)::text, 29 FROM people

-- name: by chance, and now
SELECT RAND() BETWEEN 0 AND 1, RANDOM() < 1, GETUTCDATE() <= SYSDATETIME(), CURRENT_TIMESTAMP >= CAST(GETUTCDATE() AS TIMESTAMP WITH TIME ZONE), CURRENT_TIME IS NULL FROM Crm.public.people WHERE id = 1
=>
SELECT true, true, true, true, false

-- name: lists of different names
SELECT LISTAGG(DISTINCT city, '|') WITHIN GROUP (ORDER BY city), GROUP_CONCAT(DISTINCT city ORDER BY city SEPARATOR '; '), LISTAGG(DISTINCT active) WITHIN GROUP (ORDER BY active DESC), STRING_AGG(DISTINCT city, '+' ORDER BY city DESC) FROM (SELECT city, CAST(active AS TEXT) AS active FROM Crm.public.people) AS one
=>
SELECT string_agg(DISTINCT city, '|' ORDER BY city), string_agg(DISTINCT city, '; ' ORDER BY city), string_agg(DISTINCT active::text, ',' ORDER BY active::text DESC), string_agg(DISTINCT city, '+' ORDER BY city DESC) FROM people
