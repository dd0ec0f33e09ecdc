"""Which database holds the state: the operator's, or the embedded one for as long as it is used."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tidewell.settings import Settings
from tidewell.state.embedded import start


@contextmanager
def state_url(settings: Settings) -> Iterator[str]:
    """The address of the state database; the embedded server runs until the block ends."""
    given = settings.database_url.get_secret_value()
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
