"""The OpenAPI document is complete, whatever routes there are."""

import re

import pytest
from fastapi.routing import iter_route_contexts

from tests.openapi_document import APP, DOCUMENT, Operation, faults, operations
from tidewell import pages

OPERATIONS = list(operations(DOCUMENT))
REFERENCE = {
    *("listJobs", "getJob", "createJob", "updateJob", "deleteJob", "runJob", "stopJob"),
    *("updateCacheConnection", "generateCacheConnectionURL"),
    *("listAccounts", "createAccount", "getAccount", "updateAccount", "deleteAccount"),
    *("listDataSources", "listConnections", "createConnection", "editConnection"),
    *("deleteConnection", "listAuditLog"),
}
# Answers that are no JSON: Prometheus' text, and server-sent events.
OWN_FORMATS = {"getMetrics": "text/plain", "followRun": "text/event-stream"}
each_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)


def test_the_calls_of_the_reference_have_its_operation_ids() -> None:
    ids = [operation.id for operation in OPERATIONS]
    assert len(ids) == len(set(ids))
    assert set(ids) >= REFERENCE


def test_every_route_stands_in_the_document_or_is_a_page() -> None:
    routes = list(iter_route_contexts([*APP.routes, *pages.router.routes]))
    hidden = {str(route.path) for route in routes if not getattr(route, "include_in_schema", True)}
    assert "/docs" in hidden
    assert {path for path in hidden if not path.startswith("/oem/")} <= {"/docs", "/openapi.json"}


@each_operation
def test_an_operation_says_what_it_does_and_answers(operation: Operation) -> None:
    about = operation.about
    assert about["description"]
    assert about["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    # Beside it there may be a 204, which says that there is no more to come.
    [success] = [one for one in about["responses"] if one.startswith("2") and one != "204"]
    kinds = about["responses"][success]["content"]
    own = OWN_FORMATS.get(operation.about["operationId"])
    if own is not None:
        assert list(kinds) == [own]
        assert kinds[own]["example"]
        return
    content = kinds["application/json"]
    assert content["schema"]["$ref"], "name a response_model"
    assert operation.faults(int(success), content["example"]) == []


@each_operation
def test_a_body_is_described_and_has_an_example(operation: Operation) -> None:
    if "requestBody" not in operation.about:
        assert operation.method != "PUT"
        return
    content = operation.about["requestBody"]["content"]["application/json"]
    assert faults(DOCUMENT, content["schema"], content["example"]) == []


@each_operation
def test_a_parameter_takes_only_what_postgresql_holds(operation: Operation) -> None:
    """A number has bounds, and a text a pattern without NUL or another form."""
    for parameter in operation.about.get("parameters", ()):
        variants = parameter["schema"].get("anyOf", [parameter["schema"]])
        for schema in variants:
            if schema.get("type") == "integer":
                assert schema["maximum"] < 2**63, parameter["name"]
            elif schema.get("type") == "string" and parameter["in"] == "query":
                text = schema.get("pattern") or schema.get("format")
                assert text, f"{parameter['name']}: use tidewell.api.parameters.Words"
                assert not schema.get("pattern") or not re.search(schema["pattern"], "a\0b")


@each_operation
def test_every_error_is_described_in_the_one_shape(operation: Operation) -> None:
    responses = operation.about["responses"]
    errors = {status: one for status, one in responses.items() if int(status) >= 400}
    assert "500" in errors
    if operation.is_closed:
        assert {"401", "403", "429", "503"} <= set(errors)
    if operation.path_parameters():
        assert "404" in errors
    if "requestBody" in operation.about:
        assert {"400", "413", "415"} <= set(errors)
    assert "422" not in errors
    for status, error in errors.items():
        assert error["description"]
        content = error["content"]["application/json"]
        assert content["schema"] == {"$ref": "#/components/schemas/Error"}
        assert operation.faults(int(status), content["example"]) == []
        assert ("Retry-After" in error["headers"]) == (status in ("429", "503"))
    assert all("X-Request-Id" in one["headers"] for one in responses.values())


def test_every_field_of_an_answer_fits_a_link_that_leads_to_it() -> None:
    by_id = {operation.id: operation for operation in OPERATIONS}
    links = [
        (source.id, link)
        for source in OPERATIONS
        for response in source.about["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert links
    for source, link in links:
        target = by_id[link["operationId"]]
        assert list(link["parameters"]) == target.path_parameters(), source
