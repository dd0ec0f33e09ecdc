"""Which database holds the state: the operator's, or the embedded one for as long as it is used.

A pooler in transaction mode before the operator's database is for the many transactions of nodes.
What needs a session of its own, or is done rarely, goes past it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tidewell.errors import TidewellError
from tidewell.settings import Settings
from tidewell.state.embedded import start


@contextmanager
def state_url(settings: Settings) -> Iterator[str]:
    """The address of the state database, past a pooler; the embedded one runs until the end."""
    direct = settings.database_direct_url.get_secret_value()
    given = settings.database_url.get_secret_value()
    if direct and not given:
        raise TidewellError(
            "TIDEWELL_DATABASE_DIRECT_URL goes past the pooler of TIDEWELL_DATABASE_URL, which is "
            "not set."
        )
    given = direct or given
    if given:
        yield given
    else:
        with start(settings.home) as server:
            yield server.url()


def allow_own_server(settings: Settings, url: str) -> Settings:
    """With the embedded server, its own second database is a cache that customers may name."""
    if settings.database_url.get_secret_value():
        return settings
    place = urlsplit(url)
    allowed = f"{settings.egress_allow},{place.hostname}:{place.port}"
    return settings.model_copy(update={"egress_allow": allowed})


def pooler_url(settings: Settings) -> str:
    """The address of the pooler before the state database; empty where there is none."""
    if settings.database_direct_url.get_secret_value():
        return settings.database_url.get_secret_value()
    return ""
