"""Airbyte connectors from PyPI as drivers: spec and tables of all, rows of those that a server of
this machine can stand in for.

A server can where the connector's spec has its address; elsewhere the address in the manifest is
replaced, and nothing else of it.
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.json_api import JSONAPI, Answer, json_api
from tidewell.egress import EgressRules
from tidewell.errors import InvalidRequest, SourceBroken
from tidewell.sources import registry
from tidewell.sources.conformance.suite import rows_of, with_defaults
from tidewell.sources.declarative.driver import DeclarativeDriver
from tidewell.sources.declarative.installed import _with_schemas
from tidewell.sources.protocol import Comparison, Environment, ReadRequest

FOLDER = Path(sys.prefix) / "connectors"
LOCAL = Environment(egress=EgressRules.parse("127.0.0.1"))


@dataclass(frozen=True)
class Connector:
    """What a connector's own manifest says: its required keys and its streams, some of them."""

    name: str
    values: dict[str, str]
    tables: set[str]
    required: set[str] = field(default_factory=set)
    secret: set[str] = field(default_factory=set)
    forward: dict[str, set[str]] = field(default_factory=dict)
    key: dict[str, set[str]] = field(default_factory=dict)


KEY = {"api_key": "k"}
CONNECTORS = [
    Connector(
        "breezometer",
        KEY | {"latitude": "1", "longitude": "2"},
        {"air_quality_current", "weather_forecast"},
        {"api_key", "latitude", "longitude"},
        {"api_key"},
    ),
    Connector("dockerhub", {"docker_username": "a"}, {"docker_hub"}, {"docker_username"}),
    Connector(
        "harness",
        KEY | {"account_id": "a"},
        {"organizations"},
        {"api_key", "account_id"},
        {"api_key"},
    ),
    Connector(
        "nasa",
        KEY | {"start_date": "2024-01-01", "end_date": "2024-01-03"},
        {"nasa_apod"},
        {"api_key"},
        {"api_key"},
        {"nasa_apod": {"date"}},
    ),
    Connector("pexels-api", KEY | {"query": "sea"}, {"photos_search"}, set(), {"api_key"}),
    Connector(
        "pokeapi",
        {"pokemon_name": "pikachu"},
        {"pokemon"},
        {"pokemon_name"},
        key={"pokemon": {"id"}},
    ),
    Connector("pypi", {"project_name": "sampleproject", "version": "1"}, {"project", "release"}),
    Connector("spacex-api", {}, {"launches", "rockets", "crew"}),
    Connector("statuspage", KEY, {"pages", "incidents"}, {"api_key"}, {"api_key"}),
    Connector("todoist", {"token": "t"}, {"tasks", "projects"}, {"token"}, {"token"}),
    Connector(
        "tvmaze-schedule",
        {"start_date": "2024-01-01", "domestic_schedule_country_code": "GB"},
        {"domestic", "web", "future"},
        {"start_date", "domestic_schedule_country_code"},
        set(),
        {"domestic": {"airdate"}},
        {"domestic": {"id"}},
    ),
    Connector(
        "unleash",
        {"api_token": "t", "api_url": "http://127.0.0.1:1/api"},
        {"features"},
        {"api_token", "api_url"},
        {"api_token"},
        key={"features": {"name"}},
    ),
    Connector("whisky-hunter", {}, {"auctions_data", "distilleries_info"}),
]


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The connectors are installed; the registry looks again, before and after."""
    monkeypatch.syspath_prepend(FOLDER)
    registry.forget()
    yield
    monkeypatch.undo()
    registry.forget()


@pytest.fixture
def api() -> Iterator[JSONAPI]:
    with json_api({}) as running:
        yield running


@pytest.mark.parametrize("one", CONNECTORS, ids=lambda one: one.name)
def test_a_connector_is_a_driver_with_its_spec_as_keys_and_its_streams_as_tables(
    one: Connector,
) -> None:
    assert one.name in registry.names()
    driver = registry.driver(one.name.upper())
    keys = {key.name: key for key in driver.keys}
    assert one.required <= {name for name, key in keys.items() if key.required}
    assert one.secret <= {name for name, key in keys.items() if key.secret}
    assert all(key.help for key in keys.values())

    with driver.open(with_defaults(driver, one.values), LOCAL) as source:
        assert source.schemas() == [driver.name]
        tables = {table.name for table in source.tables(driver.name)}
        assert one.tables <= tables
        for table in tables:
            columns = source.columns(driver.name, table)
            assert columns
            forward = {c.name for c in columns if c.moves_forward}
            assert one.forward.get(table, set()) <= forward
            parts = {c.name for c in columns if c.key_position is not None}
            assert one.key.get(table, set()) <= parts


def test_a_name_that_a_driver_has_already_stays_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package, folder in (("airbyte_source_mailchimp", "source_mailchimp"),):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "manifest.yaml").write_text("streams: [{name: a}]")
        about = tmp_path / f"{package}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (about / "RECORD").write_text(f"{folder}/manifest.yaml,,\n")
    monkeypatch.syspath_prepend(tmp_path)
    registry.forget()

    assert registry.driver("mailchimp").name == "MailChimp"
    assert registry.driver("airbyte-source-mailchimp").name == "airbyte-source-mailchimp"


def test_a_manifest_in_the_operators_folder_is_a_driver_of_the_files_name(
    tmp_path: Path, api: JSONAPI
) -> None:
    api.tables["things"] = [{"id": 1, "name": "a"}]
    stream = {
        "type": "DeclarativeStream",
        "name": "things",
        "primary_key": "id",
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": "{{ config['site'] }}",
                "path": "things",
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": []},
            },
        },
    }
    spec = {"type": "object", "required": ["site"], "properties": {"site": {"type": "string"}}}
    manifest = {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["things"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": spec},
    }
    (tmp_path / "Our CRM.yaml").write_text(json.dumps(manifest))
    (tmp_path / "broken.yaml").write_text("{")
    registry.use_manifests(tmp_path)
    try:
        assert {"Our CRM", "broken"} <= set(registry.names())
        driver = registry.driver("our crm")
        with driver.open(with_defaults(driver, {"site": api.url}), LOCAL) as source:
            source.test()
            assert rows_of(source.read(ReadRequest("Our CRM", "things"))) == api.tables["things"]
        with pytest.raises(InvalidRequest, match=r"broken\.yaml cannot be read"):
            registry.driver("broken")
    finally:
        registry.use_manifests(None)
    assert "Our CRM" not in registry.names()


@pytest.mark.parametrize("spec", ["#/definitions/spec", {"$ref": "#/definitions/spec"}])
def test_a_spec_that_is_a_reference_is_followed(tmp_path: Path, spec: Any) -> None:
    said = {"type": "object", "properties": {"site": {"type": "string"}}}
    manifest = {
        "spec": spec,
        "definitions": {"spec": {"type": "Spec", "connection_specification": said}},
    }
    driver = DeclarativeDriver("X", manifest, partial(_with_schemas, tmp_path))
    assert "site" in [key.name for key in driver.keys]


# Rows


def moved(name: str, address: str, api: JSONAPI) -> DeclarativeDriver:
    """A connector whose fixed address is the local server's."""
    driver = registry.driver(name)
    assert isinstance(driver, DeclarativeDriver)
    text = json.dumps(driver.manifest)
    assert address in text
    return replace(driver, manifest=json.loads(text.replace(address, api.url)))


def read(
    driver: DeclarativeDriver, values: dict[str, str], table: str, *where: Comparison
) -> list[dict[str, Any]]:
    with driver.open(with_defaults(driver, values), LOCAL) as source:
        return rows_of(source.read(ReadRequest(driver.name, table, where=where)))


def test_unleash_reads_from_the_address_of_its_spec(api: JSONAPI) -> None:
    features = [{"name": f"f{n}", "enabled": n % 2 == 0, "project": "p"} for n in range(3)]
    api.answers["/api/client/features"] = lambda _: Answer({"version": 2, "features": features})
    driver = registry.driver("unleash")
    assert isinstance(driver, DeclarativeDriver)
    rows = read(driver, {"api_token": "tell-no-one", "api_url": f"{api.url}/api"}, "features")
    assert [(row["name"], row["enabled"]) for row in rows] == [
        ("f0", True),
        ("f1", False),
        ("f2", True),
    ]
    assert api.asked[-1][2]["Authorization"] == "tell-no-one"


def test_harness_reads_from_the_address_of_its_spec(api: JSONAPI) -> None:
    body = {"data": {"content": [{"organization": {"identifier": "o1"}}]}}
    api.answers["/ng/api/organizations"] = lambda _: Answer(body)
    driver = registry.driver("harness")
    assert isinstance(driver, DeclarativeDriver)
    values = {"api_key": "k;1", "account_id": "acct", "api_url": api.url}
    rows = read(driver, values, "organizations")
    assert json.loads(rows[0]["organization"]) == {"identifier": "o1"}
    _, query, headers = api.asked[-1]
    assert query == {"accountIdentifier": "acct"}
    assert headers["x-api-key"] == "k;1"


def test_pokeapi_reads_one_object_as_one_row(api: JSONAPI) -> None:
    body = {"id": 25, "name": "pikachu", "is_default": True, "types": [{"slot": 1}]}
    api.answers["/api/v2/pokemon/pikachu"] = lambda _: Answer(body)
    driver = moved("pokeapi", "https://pokeapi.co", api)
    (row,) = read(driver, {"pokemon_name": "pikachu"}, "pokemon")
    assert (row["id"], row["name"], row["is_default"]) == (25, "pikachu", True)
    assert json.loads(row["types"]) == [{"slot": 1}]
    assert row["moves"] is None


def test_whisky_hunter_reads_a_plain_list(api: JSONAPI) -> None:
    auctions = [{"slug": "a", "name": "A"}, {"slug": "b", "name": "B"}]
    api.answers["/api/auctions_info"] = lambda _: Answer(auctions)
    rows = read(moved("whisky-hunter", "https://whiskyhunter.net", api), {}, "auctions_info")
    assert [row["slug"] for row in rows] == ["a", "b"]


def test_tvmaze_reads_day_by_day_and_an_increment_only_the_days_since(api: JSONAPI) -> None:
    api.answers["/schedule"] = lambda query: Answer(
        [{"id": int(query["date"].replace("-", "")), "airdate": query["date"]}]
    )
    driver = moved("tvmaze-schedule", "https://api.tvmaze.com", api)
    values = {
        "start_date": "2024-02-27",
        "end_date": "2024-03-01",
        "domestic_schedule_country_code": "GB",
    }
    rows = read(driver, values, "domestic")
    days = ["2024-02-27", "2024-02-28", "2024-02-29"]
    assert sorted(str(row["airdate"]) for row in rows) == days

    api.asked.clear()
    since = Comparison("airdate", ">=", "2024-02-29")
    rows = read(driver, values, "domestic", since)
    assert sorted(str(row["airdate"]) for row in rows) == days[2:]
    asked = {query["date"] for _, query, _ in api.asked}
    assert "2024-02-27" not in asked, "the lower bound reaches the cursor"
    assert days[2] in asked


def test_python_of_a_connector_that_is_too_old_is_told_in_words() -> None:
    driver = registry.driver("the-guardian-api")
    values = with_defaults(driver, {"api_key": "tell-no-one", "start_date": "2024-01-01"})
    with driver.open(values, LOCAL) as source:
        assert [table.name for table in source.tables(driver.name)] == ["content"]
        with pytest.raises(SourceBroken, match="The connector failed") as told:
            source.columns(driver.name, "content")
    assert "tell-no-one" not in told.value.message
