"""The REST driver: each way of paging and signing in, manifests, and what goes wrong."""

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Certificates
from tests.json_api import JSONAPI, Answer, json_api
from tidewell.egress import EgressRules
from tidewell.errors import SourceBroken, SourceNotFound, SourceRefused, SourceUnavailable
from tidewell.sources.conformance.suite import rows_of, with_defaults
from tidewell.sources.protocol import Comparison, Environment, ReadRequest, Source
from tidewell.sources.rest import DRIVER

LOCAL = Environment(egress=EgressRules.parse("127.0.0.1"))
ROWS = [{"id": n, "name": f"n{n}", "changed": f"2024-02-29T00:00:{n:02}Z"} for n in range(25)]


@pytest.fixture
def api() -> Iterator[JSONAPI]:
    with json_api({"things": ROWS}) as running:
        yield running


def opened(api: JSONAPI, environment: Environment = LOCAL, **values: str) -> Source:
    return DRIVER.open(
        with_defaults(DRIVER, {"URL": api.url, "Paths": "/things"} | values), environment
    )


def ids(source: Source, *where: Comparison, table: str = "things") -> list[int]:
    return [row["id"] for row in rows_of(source.read(ReadRequest("REST", table, where=where)))]


@pytest.mark.parametrize(
    ("paging", "pages"),
    [
        ({"Paging": "Page", "PageSizeParameter": "size", "PageSize": "10"}, 4),
        ({"Paging": "Page", "PageStart": "0", "PageParameter": "p", "PageSize": "10"}, 4),
        ({"Paging": "Offset", "PageSize": "10", "PageSizeParameter": "limit"}, 4),
        ({"Paging": "Cursor", "NextField": "meta.next"}, 3),
        ({"Paging": "NextURL", "NextField": "links.next"}, 3),
        ({"Paging": "NextURL", "NextField": "relative"}, 3),
    ],
)
def test_every_way_of_paging_gives_every_record(
    api: JSONAPI, paging: dict[str, str], pages: int
) -> None:
    def page(query: dict[str, str]) -> Answer:
        start = int(query.get("cursor") or query.get("offset") or 0)
        if "page" in query:
            start = (int(query["page"]) - 1) * 10
        if "p" in query:
            start = int(query["p"]) * 10
        following = start + 10 if start + 10 < len(ROWS) else None
        more = f"/paged?cursor={following}"
        body: dict[str, Any] = {"data": {"items": ROWS[start : start + 10]}}
        if following:
            body |= {"meta": {"next": following}, "links": {"next": api.url + more}}
            body |= {"relative": more}
        return Answer(body)

    api.answers["/paged"] = page
    with opened(api, Paths="things=/paged", RecordsSelector="data.items", **paging) as source:
        source.columns("REST", "things")
        api.asked.clear()
        assert ids(source) == list(range(25))
    assert len(api.asked) == pages


def cut_into(lengths: Sequence[int], past_the_end: Answer) -> Callable[[dict[str, str]], Answer]:
    """Pages of these lengths by number or by offset, and what is answered to any other."""
    starts = [sum(lengths[:n]) for n in range(len(lengths))]

    def answer(query: dict[str, str]) -> Answer:
        number = int(query["page"]) - 1 if "page" in query else None
        if "offset" in query:
            number = starts.index(int(query["offset"])) if int(query["offset"]) < 25 else 99
        if number is None or number >= len(lengths):
            return past_the_end
        return Answer(ROWS[starts[number] : starts[number] + lengths[number]])

    return answer


@pytest.mark.parametrize("paging", ["Page", "Offset"])
@pytest.mark.parametrize(
    ("lengths", "past_the_end"),
    [
        ((10, 10, 5), Answer([])),  # the API's own size
        ((9, 10, 6), Answer([])),  # some of the first page are hidden
        ((25,), Answer({"detail": "Invalid page."}, 404)),
        ((10, 10, 5), Answer({"detail": "Invalid page."}, 404)),
        ((25,), Answer({"code": "rest_post_invalid_page_number"}, 400)),
        ((10, 10, 5), Answer({"code": "rest_post_invalid_page_number"}, 400)),
        ((10, 10, 5), Answer(ROWS[20:])),  # the last page for ever
    ],
)
def test_a_short_page_is_not_the_last_one(
    api: JSONAPI, paging: str, lengths: tuple[int, ...], past_the_end: Answer
) -> None:
    api.answers["/things"] = cut_into(lengths, past_the_end)
    size = {"PageSizeParameter": "size", "PageSize": "500"}
    with opened(api, Paging=paging, PrimaryKey="id", **size) as source:
        assert ids(source) == list(range(25))
    assert all(query["size"] == "500" for _, query, _ in api.asked)


@pytest.mark.parametrize(
    ("lengths", "past_the_end", "error", "said"),
    [
        ((25,), Answer(ROWS), SourceBroken, "the same records again"),
        ((10, 10), Answer({"message": "no deeper"}, 400), SourceBroken, r"\(400\): no deeper"),
        ((10, 5), Answer({"message": "now not"}, 403), SourceRefused, r"\(403\): now not"),
    ],
)
def test_pages_that_end_in_a_doubtful_way_are_an_error(
    api: JSONAPI, lengths: tuple[int, ...], past_the_end: Answer, error: type[Exception], said: str
) -> None:
    api.answers["/things"] = cut_into(lengths, past_the_end)
    columns = {"Columns": "id:integer"}
    with opened(api, Paging="Page", **columns) as source, pytest.raises(error, match=said):
        ids(source)


def test_one_object_has_no_pages(api: JSONAPI) -> None:
    api.answers["/me"] = lambda _: Answer({"id": 7})
    with opened(api, Paths="things=/me", Paging="Page") as source:
        assert ids(source) == [7]


@pytest.mark.parametrize(
    "login",
    [
        {"AuthScheme": "Basic", "User": "alice", "Password": "wonder;land=1"},
        {"AuthScheme": "Bearer", "Token": "a-token-of-the-api"},
        {"AuthScheme": "APIKey", "APIKey": "1e5_and-more"},
        {"CustomHeaders": "X-API-Key: 1e5_and-more\\nX-Other: 1"},
        {
            "AuthScheme": "OAuthClient",
            "OAuthClientId": "7",
            "OAuthClientSecret": "secret of client 7",
        },
    ],
)
def test_every_way_of_signing_in_is_let_in(api: JSONAPI, login: dict[str, str]) -> None:
    token = {"OAuthAccessTokenURL": f"{api.url}/token"}
    with opened(api, Paths="/closed/things", **login, **token) as source:
        assert len(ids(source)) == 25


def test_credentials_go_to_the_apis_own_host_only(api: JSONAPI) -> None:
    with json_api({}) as other:
        other.answers["/next"] = lambda _: Answer({"items": [{"id": 2}]})
        api.answers["/first"] = lambda _: Answer(
            {"items": [{"id": 1}], "next": f"{other.url}/next"}
        )
        values = {"AuthScheme": "APIKey", "APIKey": "tell-no-one", "RecordsSelector": "items"}
        paging = {"Paging": "NextURL", "NextField": "next", "Columns": "id:integer"}
        with opened(api, Paths="things=/first", **values, **paging) as source:
            assert ids(source) == [1, 2]
        assert api.asked[-1][2]["X-API-Key"] == "tell-no-one"
        assert "X-API-Key" not in other.asked[-1][2]


@pytest.mark.parametrize(
    "login",
    [
        {"AuthScheme": "APIKey", "APIKey": "tell-no-one"},
        {
            "AuthScheme": "OAuthClient",
            "OAuthClientId": "7",
            "OAuthClientSecret": "secret of client 7",
        },
    ],
)
@pytest.mark.parametrize("way", ["link", "redirect"])
def test_no_way_to_another_host_takes_credentials_along(
    api: JSONAPI, login: dict[str, str], way: str
) -> None:
    with json_api({}) as other:
        other.answers["/next"] = lambda _: Answer({"items": [{"id": 2}]})
        there = f"{other.url}/next"
        link = there if way == "link" else "/moved"
        api.answers["/first"] = lambda _: Answer({"items": [{"id": 1}], "next": link})
        api.answers["/moved"] = lambda _: Answer(b"", 302, {"Location": there})
        token = {"OAuthAccessTokenURL": f"{api.url}/token"}
        paging = {"Paging": "NextURL", "NextField": "next", "Columns": "id:integer"}
        values = {"Paths": "things=/first", "RecordsSelector": "items"} | login | token | paging
        with opened(api, **values) as source:
            assert ids(source) == [1, 2]
        carried = {"X-API-Key", "Authorization"}
        assert all(carried & headers.keys() for _, _, headers in api.asked)
        assert not carried & other.asked[-1][2].keys()


@pytest.mark.parametrize("way", ["link", "redirect"])
def test_an_api_that_calls_itself_http_is_asked_over_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    made = Certificates.make(tmp_path)
    (tmp_path / "authority.pem").write_text(made.authority)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(made.server_certificate, made.server_key)
    with json_api({}, tls) as api:
        plain = api.url.replace("https://", "http://") + "/next"
        link = plain if way == "link" else "/moved"
        api.answers["/first"] = lambda _: Answer({"items": [{"id": 1}], "next": link})
        api.answers["/moved"] = lambda _: Answer(b"", 302, {"Location": plain})
        api.answers["/next"] = lambda _: Answer({"items": [{"id": 2}]})
        paging = {"Paging": "NextURL", "NextField": "next", "Columns": "id:integer"}
        values = {"Paths": "things=/first", "RecordsSelector": "items"} | paging
        local = Environment(egress=EgressRules.parse("localhost"))
        with opened(api, local, AuthScheme="Bearer", Token="tell-no-one", **values) as source:
            assert ids(source) == [1, 2]
        assert all(headers["Authorization"] == "Bearer tell-no-one" for _, _, headers in api.asked)


def test_the_bound_goes_into_the_query_and_the_edge_is_kept(api: JSONAPI) -> None:
    cursor = {"CursorField": "changed", "CursorParameter": "since", "PrimaryKey": "id"}
    edge = Comparison("changed", ">=", "2024-02-29T00:00:20Z")
    with opened(api, **cursor) as source:
        columns = {one.name: one for one in source.columns("REST", "things")}
        assert columns["changed"].moves_forward
        assert columns["id"].key_position == 0
        reading = source.read(ReadRequest("REST", "things", where=(edge,)))
        assert reading.residual == (edge,), "services differ about the edge"
        assert [row["id"] for row in rows_of(reading)] == [20, 21, 22, 23, 24]
    assert api.asked[-1][1]["since"] == "2024-02-29T00:00:19Z"


MANIFEST = """
version: 6.0.0
type: DeclarativeSource
check: {type: CheckStream, stream_names: [parts]}
streams:
  - type: DeclarativeStream
    name: parts
    primary_key: [thing, id]
    retriever:
      type: SimpleRetriever
      requester:
        type: HttpRequester
        url_base: "{{ config['url'] }}"
        path: "things/{{ stream_partition.thing }}/parts"
        request_headers: {X-Secret: "{{ config['token'] }}"}
      record_selector: {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
      partition_router:
        {type: ListPartitionRouter, cursor_field: thing, values: "{{ config['things'] }}"}
    transformations:
      - type: AddFields
        fields: [{path: [thing], value: "{{ stream_partition.thing }}"}]
"""


def test_a_whole_manifest_does_what_the_simple_keys_cannot(api: JSONAPI) -> None:
    for name in ("a", "b"):
        api.answers[f"/things/{name}/parts"] = lambda _: Answer([{"id": 1}, {"id": 2}])
    config = json.dumps({"things": ["a", "b"], "token": "tell-no-one"})
    with opened(api, Manifest=MANIFEST, Config=config) as source:
        source.test()
        key = {c.name for c in source.columns("REST", "parts") if c.key_position is not None}
        assert key == {"thing", "id"}
        found = rows_of(source.read(ReadRequest("REST", "parts")))
    assert sorted((row["thing"], row["id"]) for row in found) == [
        ("a", 1),
        ("a", 2),
        ("b", 1),
        ("b", 2),
    ]
    assert api.asked[-1][2]["X-Secret"] == "tell-no-one"


def test_one_customers_pages_are_never_anothers(api: JSONAPI) -> None:
    """The CDK keeps the pages of parent streams for the whole process, whoever asked."""
    manifest = MANIFEST.replace(
        "{type: ListPartitionRouter, cursor_field: thing, values: \"{{ config['things'] }}\"}",
        """
        type: SubstreamPartitionRouter
        parent_stream_configs:
          - type: ParentStreamConfig
            parent_key: name
            partition_field: thing
            stream:
              type: DeclarativeStream
              name: parents
              retriever:
                type: SimpleRetriever
                requester: {type: HttpRequester, url_base: "{{ config['url'] }}", path: parents}
                record_selector:
                  {type: RecordSelector, extractor: {type: DpathExtractor, field_path: []}}
""",
    )
    found = []
    for customer in ("ours", "theirs"):
        api.answers["/parents"] = lambda _, c=customer: Answer([{"name": c}])  # type: ignore[misc]
        api.answers[f"/things/{customer}/parts"] = lambda _: Answer([{"id": 1}])
        login = {"AuthScheme": "Bearer", "Token": customer}
        with opened(api, Manifest=manifest, Config='{"token": "t"}', **login) as source:
            found += [row["thing"] for row in rows_of(source.read(ReadRequest("REST", "parts")))]
    assert found == ["ours", "theirs"]


# What goes wrong


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (Answer(b"<html>", 200), SourceBroken, "is not JSON"),
        (Answer({"other": []}), SourceBroken, "has no 'items'"),
        (Answer({"items": "none"}), SourceBroken, "no list of records"),
        (Answer({"message": "Sign in"}, 401), SourceRefused, r"\(401\): Sign in"),
        (Answer({"message": "Not yours"}, 403), SourceRefused, r"\(403\): Not yours"),
        (Answer({"message": "Gone"}, 404), SourceNotFound, r"nothing at /odd \(404\)"),
        (Answer({"detail": "Odd"}, 400), SourceBroken, r"refuses the request \(400\): Odd"),
        (Answer(b"", 503), SourceUnavailable, "busy or broken"),
        (Answer(b"", 429, {"Retry-After": "7"}), SourceUnavailable, "busy or broken"),
        (Answer(b"", 302, {"Location": "http://169.254.169.254/"}), SourceRefused, "may not be"),
        (Answer(b"", 302, {"Location": "http://localhost:1/"}), SourceRefused, "may not be"),
    ],
)
def test_a_fault_is_told_in_words(
    api: JSONAPI, answer: Answer, error: type[Exception], said: str
) -> None:
    api.answers["/odd"] = lambda _: answer
    rules = EgressRules.parse(api.url.removeprefix("http://"))
    only_this = Environment(egress=rules)
    with (
        opened(api, only_this, Paths="/odd", RecordsSelector="items") as source,
        pytest.raises(error, match=said),
    ):
        source.test()


def test_a_next_page_inside_the_operators_network_is_not_touched(api: JSONAPI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.settimeout(0.2)
        address = f"http://127.0.0.1:{inside.getsockname()[1]}/next"
        api.answers["/first"] = lambda _: Answer({"items": [{"id": 1}], "next": address})
        only_this = Environment(egress=EgressRules.parse(api.url.removeprefix("http://")))
        paging = {"Paging": "NextURL", "NextField": "next", "RecordsSelector": "items"}
        with (
            opened(api, only_this, Paths="things=/first", Columns="id:integer", **paging) as source,
            pytest.raises(SourceRefused, match="may not be reached"),
        ):
            ids(source)
        with pytest.raises(TimeoutError):
            inside.accept()


def test_the_machines_proxy_and_netrc_are_left_out(
    api: JSONAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login operator password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with opened(api) as source:
        assert len(ids(source)) == 25
    assert all("Authorization" not in headers for _, _, headers in api.asked)


def test_no_secret_is_told_at_any_level(api: JSONAPI) -> None:
    told: list[str] = []
    loud = replace(LOCAL, trace=lambda level, text: told.append(f"{level} {text}"))
    api.answers["/odd"] = lambda _: Answer({"message": "no: tell-no-one"}, 400)
    config = json.dumps({"token": "tell-no-one", "things": ["a"]})
    manifest = MANIFEST.replace('"things/{{ stream_partition.thing }}/parts"', "odd")
    with (
        opened(api, loud, Manifest=manifest, Config=config) as source,
        pytest.raises(SourceBroken) as failed,
    ):
        source.test()
    assert "********" in failed.value.message
    assert any(one.startswith("2 GET") for one in told)
    assert any(one.startswith("5 airbyte") for one in told), "the CDK's log is the low-level trace"
    assert "tell-no-one" not in failed.value.message + " ".join(told)


def test_a_source_ends_its_threads(api: JSONAPI) -> None:
    with opened(api) as source:
        ids(source)
    threads = [one for one in threading.enumerate() if one.name.startswith("declarative-")]
    for one in threads:
        one.join(5)
    assert not any(one.is_alive() for one in threads)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"URL": ""}, "URL must be the root"),
        ({"URL": "ftp://example.com"}, "URL must be the root"),
        ({"URL": "https://u:p@example.com"}, "must not hold credentials"),
        ({"URL": "https://{{ 9 ** 9 }}"}, "without braces"),
        ({"Paths": ""}, "Paths or Manifest is missing"),
        ({"Paths": "/a, /b/a"}, "a name of its own"),
        ({"Columns": "id"}, "name:type"),
        ({"Columns": "id:colour"}, "name:type"),
        ({"CursorParameter": "since"}, "needs CursorField"),
        ({"Paging": "NextURL"}, "NextField must name"),
        ({"Paging": "Cursor", "NextField": "a'] }}{{ ['b"}, "NextField must name"),
        ({"PageSize": "none"}, "PageSize must be a whole number"),
        ({"CustomHeaders": "no colon"}, "CustomHeaders"),
        ({"CustomHeaders": "X-A: \x01"}, "control characters"),
        ({"Paths": "/{{ 9 ** 9 }}"}, "may not"),
        ({"Manifest": "streams: ["}, "neither YAML nor JSON"),
        ({"Manifest": "a: 1"}, "a list of streams"),
        ({"Manifest": "streams: [{class_name: os.system}]"}, "Python code"),
        ({"Manifest": "streams: [{a: {'{{ 9 ** 9 }}': 1}}]"}, "may not"),
        ({"Paging": "Page", "PageSizeParameter": "{{ 9 ** 9 }}"}, "may not"),
        ({"Config": "[1]", "Manifest": MANIFEST}, "Config must be a JSON object"),
        ({"Config": '{"__injected_manifest": {}}', "Manifest": MANIFEST}, "Config must be"),
    ],
)
def test_what_cannot_be_a_connection_names_its_key(values: dict[str, str], said: str) -> None:
    given = {"URL": "https://example.com", "Paths": "/things"} | values
    with pytest.raises(SourceRefused, match=said):
        DRIVER.open(with_defaults(DRIVER, given), Environment())


def test_a_manifest_that_is_not_of_the_language_is_told(api: JSONAPI) -> None:
    wrong = MANIFEST.replace("type: SimpleRetriever", "type: NoSuchRetriever")
    with opened(api, Manifest=wrong) as source, pytest.raises(SourceBroken, match="Validation"):
        source.tables("REST")
