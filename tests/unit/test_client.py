"""The Python client against the OpenAPI document: its calls, its answers, its parameters."""

import inspect
import re
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.openapi_document import DOCUMENT
from tidewell import client
from tidewell.client import (
    _asynchronous,
    _flows,
    _flows_around,
    _flows_following,
    _models,
    _synchronous,
)
from tidewell.client._flows import Request
from tidewell.client._models import Info
from tidewell.client._result import parameters_of

SCHEMAS = DOCUMENT["components"]["schemas"]
# The models of the client, and what they are in the document.
MODELS: dict[str, type[Info]] = {
    "Job": _models.JobInfo,
    "LastRun": _models.LastRun,
    "RunRecord": _models.Run,
    "RunError": _models.RunError,
    "LogLine": _models.LogLine,
    "ConnectionRecord": _models.Connection,
    "ConnectionEntry": _models.ConnectionSummary,
    "Tested": _models.ConnectionTest,
    "CacheConnectionRecord": _models.CacheConnection,
    "Account": _models.SubAccount,
    "TimeCheckColumn": _models.TimeCheckColumn,
    "WebhookRecord": _models.Webhook,
    "DeliveryRecord": _models.Delivery,
    "QueryEntry": _models.QueryEntry,
    "QueryLog": _models.QueryLog,
    "AuditEvent": _models.AuditEvent,
}
# What the reference has and means nothing here, or what the client tells in another way.
_LEFT_OUT = {"connectionType", "walletFilePresent", "isCannedConnection", "mcpUrl"}
_JSON = {"string": str, "integer": int, "number": float, "boolean": bool, "object": dict}
# Calls that no program makes through a client: health, keys, figures, events, the reference's own.
_NOT_OF_CLIENT = {
    *("health", "readiness", "getMetrics", "getKeySet"),
    *("batch", "execute"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_fields_of_the_document(name: str) -> None:
    schema, model = SCHEMAS[name], MODELS[name]
    known = {field.alias: field for field in model.model_fields.values()}
    assert set(known) == set(schema["properties"]) - _LEFT_OUT
    for alias, field in known.items():
        described = schema["properties"][alias]
        may_be_null = any(one.get("type") == "null" for one in described.get("anyOf", []))
        if may_be_null or alias not in schema["required"]:
            assert not field.is_required(), alias
        kind = _JSON.get(described.get("type", ""))
        if kind is not None and field.annotation is not datetime:
            assert field.annotation in (kind, dict[str, Any]), alias
        is_time = described.get("format") == "date-time"
        assert (field.annotation is datetime) == is_time, alias


FLOWS = {
    "listJobs": _flows.list_jobs(),
    "getJob": _flows.get_job("x"),
    "updateCacheConnection": _flows.set_cache("x"),
    "listRuns": _flows.list_runs("x"),
    "getRun": _flows.get_run("x"),
    "runJob": _flows.run_job("x"),
    "listTimeCheckColumns": _flows.time_check_columns("x", "y", "z"),
    "listConnections": _flows.list_connections(),
    "makeConnection": _flows.create_connection("x", "y", "z"),
    "getConnection": _flows.get_connection("x"),
    "testConnection": _flows.check_connection("x"),
    "listDataSources": _flows.list_drivers(),
    "generateCacheConnectionURL": _flows.cache_form_link("x"),
    "listAccounts": _flows.list_accounts(),
    "getAccount": _flows.get_account("x"),
    "listWebhooks": _flows_around.list_webhooks(),
    "createWebhook": _flows_around.create_webhook("x"),
    "getWebhook": _flows_around.get_webhook("x"),
    "testWebhook": _flows_around.try_webhook("x"),
    "listDeliveries": _flows_around.list_deliveries("x"),
    "generateJobsURL": _flows_around.jobs_link(),
    "createConnection": _flows_around.connection_link("x"),
    "editConnection": _flows_around.edit_link("x", "y"),
    "listQueryLog": _flows_around.list_queries(),
    "getQueryLog": _flows_around.get_query("x"),
    "listAuditLog": _flows_around.list_audit(),
}


def answer_of(operation: str) -> Any:
    """The document's own example of a call's answer."""
    for calls in DOCUMENT["paths"].values():
        for about in calls.values():
            if about["operationId"] == operation:
                [code] = [one for one in about["responses"] if one.startswith("2")]
                content = about["responses"][code]["content"]["application/json"]
                name = content["schema"]["$ref"].rpartition("/")[2]
                return content.get("example") or SCHEMAS[name]["example"]
    raise AssertionError(operation)


@pytest.mark.parametrize("operation", FLOWS)
def test_a_call_takes_the_documents_own_answer(operation: str) -> None:
    flow = FLOWS[operation]
    request = next(flow)
    assert isinstance(request, Request)
    answer = httpx.Response(200, json=answer_of(operation))
    with pytest.raises(StopIteration) as ended:
        flow.send(answer)
    assert ended.value.value


def paths() -> set[tuple[str, str]]:
    """Method and path of every call that the flows make, ids blanked."""
    source = "".join(
        inspect.getsource(module) for module in (_flows, _flows_around, _flows_following)
    )
    found = re.findall(r'"(GET|POST|PUT|DELETE)", f?"(/api/[^"]*)"', source)
    named = re.findall(r'path = f"(/api/[^"]*)".*?call\(\s*"(\w+)"', source, re.DOTALL)
    both = found + [(method, path) for path, method in named]
    return {(method, re.sub(r"{[^}]*}", "{}", path)) for method, path in both}


def test_every_call_of_the_document_is_one_of_the_client() -> None:
    described = {
        (method.upper(), re.sub(r"{\w+}", "{}", path)): about["operationId"]
        for path, calls in DOCUMENT["paths"].items()
        for method, about in calls.items()
    }
    called = paths()
    assert called <= set(described)
    left = {name for call, name in described.items() if call not in called}
    assert left == _NOT_OF_CLIENT


def test_both_clients_have_the_same_calls() -> None:
    for name in ("Jobs", "Runs", "Connections", "Cache", "Catalogue", "Accounts"):
        ours = vars(getattr(_synchronous, name))
        theirs = vars(getattr(_asynchronous, f"Async{name}"))
        assert set(ours) == set(theirs)
    for name in ("Webhooks", "Links", "Logs"):
        assert set(vars(getattr(_synchronous, name))) == set(
            vars(getattr(_asynchronous, f"Async{name}"))
        )
    assert set(vars(_synchronous.Job)) - {"_abc_impl"} >= {"wait", "run", "stop", "delete", "runs"}
    offered = [name for name in client.__all__ if not hasattr(client, name)]
    assert offered == []


def test_a_body_has_the_fields_of_the_document() -> None:
    started = _flows.create_job(
        _models.Connection.model_construct(id="c", name="Shop"),
        "OData",
        "Orders",
        time_check_column="modifiedAt",
        merge_keys=["ID"],
        defined_next_run=datetime(2030, 1, 31, tzinfo=UTC),
        cacheTable="crew",
    )
    request = next(started)
    assert isinstance(request, Request)
    assert set(request.json) <= set(SCHEMAS["JobBody"]["properties"])
    assert set(request.json["params"]) <= set(SCHEMAS["CachingParams"]["properties"])
    started = _flows_around.update_webhook("w", "https://x.example", ["run.failed"])
    request = next(started)
    assert isinstance(request, Request)
    assert set(request.json) == set(SCHEMAS["WebhookBody"]["properties"])


def test_a_time_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        next(_flows_around.list_audit(datetime(2030, 1, 31)))  # noqa: DTZ001


def test_binary_parameters_are_sent_as_the_api_reads_them() -> None:
    assert parameters_of({"key": b"\x00\xff"}) == {"@key": {"dataType": 1, "value": "AP8="}}
