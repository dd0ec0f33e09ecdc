"""The MailChimp driver keeps what every driver has to: against a server that pages and filters.

The tables are MailChimp's own, so they are as wide and as oddly named as its API has them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from tests.mailchimp_server import KEY, TOKEN, MailChimp, mailchimp
from tidewell.egress import EgressRules
from tidewell.sources.conformance import (
    TEXTS,
    BigTable,
    Blocked,
    CredentialsConformance,
    DriverConformance,
    Expected,
    HostConformance,
)
from tidewell.sources.conformance.reach import UNKNOWN_HOST
from tidewell.sources.mailchimp import DRIVER
from tidewell.sources.protocol import Driver, Environment, ReadRequest

MOMENT = pa.timestamp("us", "UTC")
TEXT = pa.string()
FIRST = datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC)
BIG_ROWS, LONG = 26_000, "x" * 4_000

MEMBER = {
    "id": TEXT,
    "email_address": TEXT,
    "unique_email_id": TEXT,
    "email_type": TEXT,
    "status": TEXT,
    "unsubscribe_reason": TEXT,
    "merge_fields": pa.json_(),
    "interests": pa.json_(),
    "stats": pa.json_(),
    "ip_signup": TEXT,
    "timestamp_signup": MOMENT,
    "ip_opt": TEXT,
    "timestamp_opt": MOMENT,
    "member_rating": pa.int64(),
    "last_changed": MOMENT,
    "language": TEXT,
    "vip": pa.bool_(),
    "email_client": TEXT,
    "location": pa.json_(),
    "last_note": pa.json_(),
    "list_id": TEXT,
}


def member(number: int, **values: Any) -> dict[str, Any]:
    """A member with a value in every column."""
    made: dict[str, Any] = {
        name: f"{name} {number}" if kind == TEXT else number for name, kind in MEMBER.items()
    }
    return (
        made
        | {n: json.dumps({"n": [number, None]}, separators=(",", ":")) for n in _of(pa.json_())}
        | {name: FIRST + timedelta(seconds=number) for name in _of(MOMENT)}
        | {"id": f"{number:032x}", "vip": number % 2 == 0, "list_id": "L1"}
        | values
    )


def _of(kind: pa.DataType) -> list[str]:
    return [name for name, one in MEMBER.items() if one == kind]


TYPED = Expected(
    "MailChimp",
    "ListMembers",
    columns=MEMBER,
    rows=[
        dict.fromkeys(MEMBER) | {"id": "0" * 32, "list_id": "L1"},
        member(1, email_address="Ångström's@example.org"),
        member(2, status="", member_rating=-9_007_199_254_740_993, location="{}"),
    ],
    key=("list_id", "id"),
    moves_forward=("last_changed", "timestamp_opt"),
)
MESSAGE = dict.fromkeys(("id", "conversation_id", "list_id", "from_label", "from_email"), TEXT)
TEXT_ROWS = Expected(
    "MailChimp",
    "ConversationMessages",
    columns=MESSAGE | {"subject": TEXT, "message": TEXT, "read": pa.bool_(), "timestamp": MOMENT},
    rows=[
        dict.fromkeys((*MESSAGE, "subject", "read", "timestamp"))
        | {"id": f"m{n}", "conversation_id": "c1", "message": text}
        for n, text in enumerate(TEXTS)
    ],
    key=("conversation_id", "id"),
    moves_forward=("timestamp",),
)
FOLDER = {"name": TEXT, "id": TEXT, "count": pa.int64()}
EMPTY = Expected("MailChimp", "CampaignFolders", FOLDER, [], key=("id",))
ODD = Expected(
    "MailChimp",
    "TemplateFolders",
    FOLDER,
    [{"name": "ü; ' \"", "id": "1", "count": 2}],
    key=("id",),
)
FILE = {
    "id": pa.int64(),
    "folder_id": pa.int64(),
    "type": TEXT,
    "name": TEXT,
    "full_size_url": TEXT,
    "thumbnail_url": TEXT,
    "size": pa.int64(),
    "created_at": MOMENT,
    "created_by": TEXT,
    "width": pa.int64(),
    "height": pa.int64(),
}
PAGED = Expected(
    "MailChimp",
    "FileManagerFiles",
    columns=FILE,
    rows=[
        dict.fromkeys(FILE)
        | {"id": n, "name": f"name {n}", "created_at": FIRST + timedelta(seconds=n // 300)}
        for n in range(2600)
    ],
    key=("id",),
    moves_forward=("created_at",),
)


@pytest.fixture(scope="module")
def service() -> Iterator[MailChimp]:
    with mailchimp() as running:
        running.data |= {
            "lists": [{"id": "L1"}],
            "lists/L1/members": written(TYPED),
            "conversations": [{"id": "c1"}],
            "conversations/c1/messages": written(TEXT_ROWS),
            "campaign-folders": [],
            "template-folders": written(ODD),
            "file-manager/files": written(PAGED),
        }
        yield running


class TestMailChimp(DriverConformance, HostConformance, CredentialsConformance):
    memory_bound = 48 * 2**20

    @pytest.fixture
    def driver(self) -> Driver:
        return DRIVER

    @pytest.fixture
    def environment(self) -> Environment:
        listed = f"127.0.0.0/8 {UNKNOWN_HOST}"  # else another host than MailChimp's is refused
        return Environment(egress=EgressRules.parse(listed))

    @pytest.fixture
    def values(self, service: MailChimp) -> Mapping[str, str]:
        return {"URL": service.url, "APIKey": KEY}

    @pytest.fixture
    def typed(self) -> Expected:
        return TYPED

    @pytest.fixture
    def texts(self) -> Expected:
        return TEXT_ROWS

    @pytest.fixture
    def empty(self) -> Expected:
        return EMPTY

    @pytest.fixture
    def wide(self) -> Expected:
        return TYPED

    def test_a_wide_table_is_wide(self, wide: Expected) -> None:
        assert len(wide.columns) > 20, "no list of the API is much wider than its members"

    @pytest.fixture
    def oddly_named(self) -> Expected:
        return ODD

    @pytest.fixture
    def paged(self) -> Expected:
        return PAGED

    @pytest.fixture
    def big(self) -> Iterator[BigTable]:
        with mailchimp() as service:
            service.data["templates"] = [{"id": n, "name": LONG} for n in range(BIG_ROWS)]
            values = {"URL": service.url, "APIKey": KEY}
            yield BigTable("MailChimp", "Templates", BIG_ROWS, values)

    @pytest.fixture
    def blocked(self) -> AbstractContextManager[Blocked]:
        @contextmanager
        def hanging() -> Iterator[Blocked]:
            with mailchimp() as service:
                service.data["conversations"] = [{"id": f"c{n}"} for n in range(2500)]
                service.block_at = "offset=2000"
                values = {"URL": service.url, "APIKey": KEY}
                request = ReadRequest("MailChimp", "Conversations")
                yield Blocked(values, request, lambda: _waited(service))

        return hanging()

    @pytest.fixture
    def elsewhere(self) -> Callable[[str, int], Mapping[str, str]]:
        return lambda host, port: {
            "URL": f"http://{host}:{port}",
            "APIKey": KEY,
            "Timeout": "1",
        }

    @pytest.fixture
    def guarded(self, service: MailChimp) -> Mapping[str, str]:
        return {"URL": service.url, "APIKey": KEY}

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        token = TOKEN.replace("access", "other")
        return [{"APIKey": KEY.replace("0", "1")}, {"APIKey": "", "OAuthAccessToken": token}]


def _waited(service: MailChimp) -> None:
    assert service.blocked.wait(30), "nobody reads"


def written(table: Expected) -> list[dict[str, Any]]:
    """The rows of a table as the API gives them: a time that is not there is an empty text."""
    return [
        {name: _json_value(table.columns[name], value) for name, value in row.items()}
        for row in table.rows
    ]


def _json_value(kind: pa.DataType, value: Any) -> Any:
    if kind == MOMENT:
        return "" if value is None else value.isoformat()
    return json.loads(value) if kind == pa.json_() and value is not None else value
