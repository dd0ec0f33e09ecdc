"""Statements that a stranger to Tidewell would write, over the reference's own client.

A CSV file and an OData service, first live, then cached: every answer is the same, and is right.
"""

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import cdata_connect
import httpx

from tests.acceptance.conftest import caching, connect
from tests.conftest import CacheDatabase
from tests.odata_server import ODataServer
from tests.product import Customer, command, ok, wait_for_end
from tests.running_product import Product

CSV = """id,day,rep,region,amount,note
1,2024-01-15,Ada,North,100.50,first
2,2024-01-31,Grace,South,200.00,
3,2024-02-29,Ada,North,50.25,"leap ""day\"\"\"
4,2024-03-01,Edsger,West,0.00,it's
5,2024-03-15,Grace,South,300.75,
6,2024-12-31,Ada,,10.00,year end
"""
STATEMENTS: dict[str, list[list[Any]]] = {
    "SELECT TOP 2 [id], [rep] FROM [Desk].[Files].[sales] ORDER BY [amount] DESC": [
        [5, "Grace"],
        [2, "Grace"],
    ],
    "WITH per AS (SELECT rep, SUM(amount) AS total, COUNT(*) n FROM Desk.Files.sales GROUP BY rep) "
    "SELECT rep, total, n, RANK() OVER (ORDER BY total DESC) AS place FROM per ORDER BY place": [
        ["Grace", 500.75, 2, 1],
        ["Ada", 160.75, 3, 2],
        ["Edsger", 0.0, 1, 3],
    ],
    "SELECT id, SUM(amount) OVER (PARTITION BY rep ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING "
    "AND CURRENT ROW) running FROM Desk.Files.sales WHERE rep <> 'Edsger' ORDER BY rep, day": [
        [1, 100.5],
        [3, 150.75],
        [6, 160.75],
        [2, 200.0],
        [5, 500.75],
    ],
    "SELECT id, amount - LAG(amount, 1, 0) OVER (ORDER BY id) AS diff FROM Desk.Files.sales "
    "ORDER BY id OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY": [[2, 99.5], [3, -149.75]],
    "SELECT YEAR(day) AS y, MONTH(day) m, SUM(amount) FROM Desk.Files.sales "
    "GROUP BY YEAR(day), MONTH(day) ORDER BY 1, 2": [
        [2024, 1, 300.5],
        [2024, 2, 50.25],
        [2024, 3, 300.75],
        [2024, 12, 10.0],
    ],
    "SELECT DATEADD(month, 1, day) AS later, DATEDIFF(day, day, '2024-12-31') AS days "
    "FROM Desk.Files.sales WHERE id = 2": [[datetime(2024, 2, 29), 335]],  # noqa: DTZ001 - the client gives none
    "SELECT CASE WHEN amount >= 200 THEN 'big' WHEN amount > 0 THEN 'small' ELSE 'none' END AS size"
    ", COUNT(*) FROM Desk.Files.sales GROUP BY CASE WHEN amount >= 200 THEN 'big' "
    "WHEN amount > 0 THEN 'small' ELSE 'none' END ORDER BY size": [
        ["big", 2],
        ["none", 1],
        ["small", 3],
    ],
    "SELECT rep FROM Desk.Files.sales WHERE region = 'North' UNION SELECT article "
    "FROM [Web shop].OData.Items WHERE position = 1 AND order_ID < 3 ORDER BY 1": [
        ["Ada"],
        ["Article 0"],
        ["Article 2"],
    ],
    "SELECT rep FROM Desk.Files.sales EXCEPT "
    "SELECT rep FROM Desk.Files.sales WHERE region = 'South' ORDER BY rep": [["Ada"], ["Edsger"]],
    "SELECT s.id, i.article, i.price FROM Desk.Files.sales s "
    "INNER JOIN [Web shop].[OData].[Items] i ON i.order_ID = s.id AND i.position = 1 "
    "WHERE s.day < '2024-02-01' ORDER BY s.id": [
        [1, "Article 0", Decimal("0.25")],
        [2, "Article 2", Decimal("2.25")],
    ],
    "SELECT s.id, o.customer FROM Desk.Files.sales s LEFT JOIN [Web shop].OData.Orders o "
    "ON o.ID = s.id AND o.ID <= 3 WHERE s.id IN (3, 4) ORDER BY s.id": [
        [3, "Customer 3"],
        [4, None],
    ],
    "SELECT rep, amount FROM Desk.Files.sales AS a WHERE amount > "
    "(SELECT AVG(amount) FROM Desk.Files.sales b WHERE b.rep = a.rep) ORDER BY rep": [
        ["Ada", 100.5],
        ["Grace", 300.75],
    ],
    "SELECT COALESCE(region, '(none)') AS region, COUNT(DISTINCT rep) reps, MAX(day) "
    "FROM Desk.Files.sales GROUP BY region HAVING COUNT(*) = 1 ORDER BY region": [
        ["(none)", 1, date(2024, 12, 31)],
        ["West", 1, date(2024, 3, 1)],
    ],
    'SELECT `rep`, "amount" * 2 AS "Double It" FROM `Desk`.`Files`.`sales` '
    "ORDER BY id LIMIT 1 OFFSET 1": [["Grace", 400.0]],
    "SELECT rep + ' / ' + region AS both, LEN(note) l, UPPER(LEFT(rep, 2)) u, "
    "CHARINDEX('e', rep) c FROM Desk.Files.sales WHERE id >= 4 ORDER BY id": [
        ["Edsger / West", 4, "ED", 5],
        ["Grace / South", None, "GR", 5],
        [None, 8, "AD", 0],
    ],
    "SELECT id FROM Desk.Files.sales WHERE note LIKE '%\"%' OR note = 'it''s' ORDER BY id": [
        [3],
        [4],
    ],
    "SELECT * FROM (SELECT rep, ROW_NUMBER() OVER (PARTITION BY rep ORDER BY amount DESC) AS rn, "
    "amount FROM Desk.Files.sales) x WHERE rn = 1 ORDER BY amount DESC": [
        ["Grace", 1, 300.75],
        ["Ada", 1, 100.5],
        ["Edsger", 1, 0.0],
    ],
    "SELECT DISTINCT DATENAME(month, day) AS name, DATEPART(quarter, day) q "
    "FROM Desk.Files.sales WHERE day > DATE '2024-02-01' ORDER BY q, name": [
        ["February", 1],
        ["March", 1],
        ["December", 4],
    ],
    "SELECT rep, SUM(CASE WHEN region = 'North' THEN amount END) north, "
    "SUM(IIF(region = 'South', amount, 0)) south FROM Desk.Files.sales "
    "GROUP BY ROLLUP(rep) ORDER BY rep NULLS LAST": [
        ["Ada", 150.75, 0.0],
        ["Edsger", None, 0.0],
        ["Grace", None, 500.75],
        [None, 150.75, 500.75],
    ],
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) "
    "SELECT n.i, s.rep FROM n JOIN Desk.Files.sales s ON s.id = n.i ORDER BY 1": [
        [1, "Ada"],
        [2, "Grace"],
        [3, "Ada"],
    ],
    "SELECT s.rep, i.total FROM Desk.Files.sales s CROSS JOIN "
    "(SELECT SUM(price) AS total FROM [Web shop].OData.Items) i WHERE s.id = 1": [
        ["Ada", Decimal("1237.50")]
    ],
}


def test_every_answer_is_right_live_and_cached(
    client: httpx.Client,
    product: Product,
    customer: Customer,
    cache: CacheDatabase,
    folder: Path,
    shop: ODataServer,
) -> None:
    (folder / "sales.csv").write_text(CSV)
    desk = connect(client, "Desk", "Files", f"URI={folder}")
    web = connect(client, "Web shop", "OData", f"URL={shop.url};")
    made = command("pat", "create", "--sub", customer.account_id, settings=product.settings)
    access = json.loads(made)
    with cdata_connect.connect(
        base_url=f"{product.base_url}/api",
        username=access["user"],
        password=access["token"],
        max_retries=0,
    ) as connection:
        assert wrong(connection) == {}
        for source, name, schema, table in (
            (desk, "Desk", "Files", "sales"),
            (web, "Web shop", "OData", "Items"),
        ):
            body = caching(source, sourceName=name, sourceSchema=schema, sourceTable=table)
            job = ok(client.post("/api/job/create", json=body))["jobs"][0]
            assert wait_for_end(client, job["id"])["lastRun"]["status"] == "JOB_SUCCESS"
        assert wrong(connection) == {}
        # A process that has run them all before runs them from their plans.
        assert wrong(connection) == {}


def wrong(connection: cdata_connect.Connection) -> dict[str, list[list[Any]]]:
    """The statements that answer something else than they should, with what they answer."""
    found: dict[str, list[list[Any]]] = {}
    cursor = connection.cursor()
    for text, rows in STATEMENTS.items():
        cursor.execute(text)
        answer = cursor.fetchall()
        if answer != rows:
            found[text] = answer
    return found
