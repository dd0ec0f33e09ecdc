"""The nine calls, with the payloads of the reference's own page: what it prints goes in, and what
it lists comes out (contract, first paragraph)."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import httpx
import jwt
import pytest

from tests.acceptance.conftest import connect
from tests.conformance.job_api import payloads
from tests.conftest import CacheDatabase
from tests.odd_service import Answer, OddService, odd_service
from tests.openapi_document import Operation, operations
from tests.product import Customer, ok, wait_for_end
from tests.running_product import Product, free_port

SENTINEL = "0001-01-01T00:00:00Z"
NORTHWIND = """<?xml version="1.0" encoding="utf-8"?>
<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="N" xmlns="http://docs.oasis-open.org/odata/ns/edm">
<EntityType Name="Category"><Key><PropertyRef Name="CategoryID"/></Key>
<Property Name="CategoryID" Type="Edm.Int32" Nullable="false"/>
<Property Name="CategoryName" Type="Edm.String" MaxLength="15"/>
</EntityType>
<EntityContainer Name="C"><EntitySet Name="Categories" EntityType="N.Category"/></EntityContainer>
</Schema></edmx:DataServices></edmx:Edmx>"""


class Reference:
    """A client of the reference, whose every answer has to be one that our document describes."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        document = ok(client.get("/openapi.json"))
        self.calls: dict[str, Operation] = {one.id: one for one in operations(document)}

    def call(self, operation: str, body: str | None = None, **path: str) -> Any:
        """Make a call as the reference's own examples do, and give its answer."""
        about = self.calls[operation]
        content = None if body is None else body.encode()
        headers = {"Content-Type": "application/json"} if body else {}
        answer = self.client.request(
            about.method, about.path.format(**path), content=content, headers=headers
        )
        assert answer.status_code == 200, answer.text
        assert about.faults(200, answer.json()) == []
        return answer.json()


@pytest.fixture
def reference(client: httpx.Client) -> Reference:
    return Reference(client)


@pytest.fixture
def northwind() -> Iterator[OddService]:
    """An OData service with a table of categories."""
    with odd_service(lambda _: Answer({"value": []})) as service:
        service.metadata = NORTHWIND
        yield service


@pytest.fixture
def odata(client: httpx.Client, northwind: OddService) -> str:
    """The id of the connection OData1."""
    return connect(client, "OData1", "OData", f"URL={northwind.url}")


@pytest.fixture
def cached(reference: Reference, cache_database: CacheDatabase) -> Any:
    """The cache connection, made with the reference's payload."""
    return reference.call("updateCacheConnection", cache_payload(cache_database))["connection"]


def cache_payload(database: CacheDatabase) -> str:
    text = payloads.CACHE_CONNECTION.replace("Port=5432", f"Port={database.port}")
    for mark, value in {
        "<Server URL>": database.host,
        "<Your User Name>": database.user,
        "<Your Password>": database.password,
        "<Database Name>": database.database,
    }.items():
        text = text.replace(mark, value)
    return text


def payload(text: str, connection_id: str) -> str:
    return text.replace(payloads.CONNECTION_ID, connection_id)


def of_odata(text: str) -> str:
    """The same over a driver that is here: only the schema's name is the driver's own."""
    return text.replace('"sourceSchema": "MailChimp"', '"sourceSchema": "OData"')


def test_create_cache_connection_url(
    reference: Reference, customer: Customer, product: Product
) -> None:
    answer = reference.call("generateCacheConnectionURL", payloads.FORM_LINK)

    assert list(answer) == ["redirectURL"]
    link = urlsplit(answer["redirectURL"])
    assert f"{link.scheme}://{link.netloc}" == product.base_url
    assert link.path == "/oem/user/cacheConnection"
    query = parse_qsl(link.query, strict_parsing=True)
    assert [name for name, _ in query] == ["token", "driver", "redirectUrl", "connectionName"]
    assert link.query.endswith(
        "&driver=PostgreSQL&redirectUrl=https%3A%2F%2Fwww.google.com"
        "&connectionName=OEMCacheConnection"
    )
    token = dict(query)["token"]
    header = jwt.get_unverified_header(token)
    keys = jwt.PyJWKSet.from_dict(ok(httpx.get(f"{product.base_url}/.well-known/jwks.json")))
    key = next(one for one in keys.keys if one.key_id == header["kid"])
    assert (header["alg"], header["typ"]) == ("RS256", "JWT")
    claims = jwt.decode(token, key, algorithms=["RS256"], options={"verify_aud": False})
    assert set(claims) >= {
        *("sub", "accountId", "oemAdminAccountId", "oemSubAccountId", "tokenType", "flowType"),
        *("flowDatasource", "nbf", "exp", "iss", "aud", "jti"),
    }
    assert claims["accountId"] == claims["sub"] == customer.account_id
    assert claims["oemAdminAccountId"] == customer.vendor.id
    assert (claims["tokenType"], claims["flowDatasource"]) == ("powered-by", "PostgreSQL")
    assert claims["exp"] - claims["nbf"] == 180


def test_create_cache_connection(
    cached: Any, customer: Customer, cache_database: CacheDatabase
) -> None:
    assert list(cached) == payloads.CONNECTION_FIELDS
    assert cached["accountId"] == customer.account_id
    assert str(UUID(cached["id"])) == cached["id"]
    assert cached["connectionString"] == (
        f"server={cache_database.host};port={cache_database.port};user={cache_database.user};"
        f"password=********;database={cache_database.database}"
    )
    assert (cached["connectionType"], cached["driver"]) == (0, "PostgreSQL")
    assert cached["name"] == "CacheConnection"
    assert (cached["isTested"], cached["walletFilePresent"]) == (True, False)
    assert cached["isCannedConnection"] is False


@pytest.mark.parametrize("prefix", ["", "jdbc:cdata:postgresql:", "JDBC:CData:PostgreSQL:"])
def test_the_prefix_of_a_connection_string_changes_nothing(
    reference: Reference, cached: Any, cache_database: CacheDatabase, prefix: str
) -> None:
    text = cache_payload(cache_database).replace("jdbc:cdata:postgresql:", prefix)
    again = reference.call("updateCacheConnection", text)["connection"]
    for field in ("id", "created", "connectionString", "isTested"):
        assert again[field] == cached[field]


@pytest.mark.usefixtures("cached")
def test_the_life_of_a_job(reference: Reference, client: httpx.Client, odata: str) -> None:
    sent = payload(payloads.CREATE_JOB, odata)
    [made] = reference.call("createJob", sent)["jobs"]
    path = {"job_id": made["id"]}

    assert list(made) == payloads.JOB_FIELDS
    assert list(made["lastRun"]) == payloads.LAST_RUN_FIELDS
    assert (made["jobType"], made["name"], made["enabled"]) == ("Caching", "Categories", True)
    assert (made["intervalUnit"], made["intervalValue"], made["logVerbosity"]) == ("Hour", 1, 1)
    assert made["lastRun"]["status"] in ("JOB_QUEUED", "JOB_RUNNING", "JOB_SUCCESS")
    asked = json.loads(sent)["params"]
    assert {name: made["params"][name] for name in asked} == asked
    assert made["params"]["sourceConnectionName"] == "OData1"

    ended = wait_for_end(client, made["id"])
    assert ended["lastRun"]["status"] == "JOB_SUCCESS"
    assert reference.call("getJob", **path) == {"jobs": [ended]}
    assert reference.call("listJobs") == {"jobs": [ended]}

    by_driver = sent.replace('"sourceName": "OData1"', '"sourceName": "OData"')
    [updated] = reference.call("updateJob", by_driver, **path)["jobs"]
    assert updated["params"]["sourceName"] == "OData"
    assert updated["id"] == made["id"]

    assert UUID(reference.call("runJob", **path)["runId"])
    assert reference.call("stopJob", **path) == {}
    assert reference.call("deleteJob", **path) == {}
    assert reference.call("listJobs") == {"jobs": []}


@pytest.mark.usefixtures("cached")
def test_the_payload_of_update(reference: Reference, client: httpx.Client, odata: str) -> None:
    """Another source, named as the reference does; while it is away its tables are not checked."""
    [made] = reference.call("createJob", payload(payloads.CREATE_JOB, odata))["jobs"]
    away = connect(client, "MailChimp", "OData", f"URL=http://127.0.0.1:{free_port()}/")
    sent = of_odata(payload(payloads.UPDATE_JOB, away))
    [updated] = reference.call("updateJob", sent, job_id=made["id"])["jobs"]
    assert (updated["id"], updated["name"]) == (made["id"], "Conversations")
    assert updated["params"] == json.loads(sent)["params"] | {
        "sourceConnectionName": "MailChimp",
        "cacheSchema": "MailChimp",
        "cacheTable": "Conversations",
    }


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("text", payloads.PARAMS.values(), ids=payloads.PARAMS)
def test_the_params_that_the_page_prints(
    reference: Reference, client: httpx.Client, text: str
) -> None:
    """With a connection of the reader's own they make a job; with the page's own id they say so."""
    params = json.loads(of_odata(text))
    body = json.loads(payloads.CREATE_JOB) | {"params": params}
    refused = client.post("/api/job/create", json=body)
    assert refused.status_code == 400
    [detail] = refused.json()["error"]["details"]
    assert detail["field"] == "params.sourceConnection"

    url = f"URL=http://127.0.0.1:{free_port()}/"
    params["sourceConnection"] = connect(client, params["sourceName"], "OData", url)
    [made] = reference.call("createJob", json.dumps(body))["jobs"]
    assert {name: made["params"][name] for name in params} == params


@pytest.mark.usefixtures("cached")
def test_a_job_that_never_ran_has_the_sentinel_date(reference: Reference, odata: str) -> None:
    sent = payload(payloads.CREATE_JOB, odata).replace('"true"', '"false"')
    [made] = reference.call("createJob", sent)["jobs"]
    assert made["enabled"] is False
    assert made["nextRunTime"] == SENTINEL
    assert made["lastRun"] == {
        "dateTime": SENTINEL,
        "duration": 0,
        "status": "",
        "rowsAffected": 0,
        "nextRunTime": SENTINEL,
    }


@pytest.mark.usefixtures("cached")
def test_run_stop_and_delete_with_any_way_to_send_no_body(
    client: httpx.Client, reference: Reference, odata: str
) -> None:
    [made] = reference.call("createJob", payload(payloads.CREATE_JOB, odata))["jobs"]
    path = f"/api/job/{made['id']}"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    json_kind = {"Content-Type": "application/json"}
    for body in (None, b"", b"{}"):
        for headers in ({}, json_kind, form if not body else {}):
            for call in ("run", "stop"):
                answer = client.post(f"{path}/{call}", content=body, headers=headers)
                assert answer.status_code == 200, answer.text
    assert client.request("DELETE", f"{path}/delete", content=b"{}").status_code == 200


@pytest.mark.usefixtures("cached")
def test_bodies_without_a_content_type(client: httpx.Client, odata: str) -> None:
    sent = payload(payloads.CREATE_JOB, odata).encode()
    made = ok(client.post("/api/job/create", content=sent))["jobs"][0]
    ok(client.put(f"/api/job/{made['id']}/update", content=sent))
    ok(client.post("/api/job/cacheConnection/formLink", content=payloads.FORM_LINK.encode()))
