"""What drivers keep whose source is reached over a network, and whose source asks who reads it."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tidewell.egress import EgressRules
from tidewell.errors import SourceRefused, SourceUnavailable
from tidewell.sources.conformance.suite import Outcome, with_defaults
from tidewell.sources.protocol import Driver, Environment

UNKNOWN_HOST = "no-such-host.invalid"


@dataclass
class SilentHost:
    """A host that accepts connections and never says a word."""

    port: int = 0
    accepted: list[socket.socket] = field(default_factory=list)
    reached: threading.Event = field(default_factory=threading.Event)
    """Set soon after somebody has connected, who may have given up by then."""


@contextmanager
def silent_host() -> Iterator[SilentHost]:
    """One on a free port of 127.0.0.1, until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = SilentHost(int(listener.getsockname()[1]))

        def accept() -> None:
            with suppress(OSError):
                while True:
                    host.accepted.append(listener.accept()[0])
                    host.reached.set()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield host
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in host.accepted:
            one.close()


class HostConformance:
    """For a source at an address: it may be dead, silent, unknown, or not allowed."""

    give_up_seconds = 30.0
    """Seconds after which a test of a source that does not answer has to have ended."""

    @pytest.fixture
    def elsewhere(self) -> Callable[[str, int], Mapping[str, str]]:
        """The values of a connection to another host and port; the shortest `Timeout` there is."""
        raise NotImplementedError

    def test_a_dead_host_is_told(
        self,
        driver: Driver,
        environment: Environment,
        elsewhere: Callable[[str, int], Mapping[str, str]],
    ) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        error = self._error(driver, elsewhere("127.0.0.1", port), environment)
        assert isinstance(error, SourceUnavailable), repr(error)
        assert error.message

    def test_an_unknown_host_is_told(
        self,
        driver: Driver,
        environment: Environment,
        elsewhere: Callable[[str, int], Mapping[str, str]],
    ) -> None:
        error = self._error(driver, elsewhere(UNKNOWN_HOST, 80), environment)
        assert isinstance(error, SourceUnavailable), repr(error)
        assert UNKNOWN_HOST in error.message

    def test_a_silent_host_is_given_up(
        self,
        driver: Driver,
        environment: Environment,
        elsewhere: Callable[[str, int], Mapping[str, str]],
    ) -> None:
        with silent_host() as host:
            error = self._error(driver, elsewhere("127.0.0.1", host.port), environment)
            assert isinstance(error, SourceUnavailable), repr(error)
            assert host.reached.wait(10)

    def test_an_address_that_is_not_allowed_is_not_touched(
        self,
        driver: Driver,
        environment: Environment,
        elsewhere: Callable[[str, int], Mapping[str, str]],
    ) -> None:
        nothing_private = replace(environment, egress=EgressRules())
        with silent_host() as host:
            error = self._error(driver, elsewhere("127.0.0.1", host.port), nothing_private)
            assert isinstance(error, SourceRefused), repr(error)
            assert host.accepted == []

    def _error(
        self, driver: Driver, values: Mapping[str, str], environment: Environment
    ) -> BaseException | None:
        def test() -> None:
            with driver.open(with_defaults(driver, values), environment) as source:
                source.test()

        return Outcome(test).error(within=self.give_up_seconds)


class CredentialsConformance:
    """For a source that asks who reads it."""

    @pytest.fixture
    def guarded(self) -> Mapping[str, str]:
        """Values of a source that needs credentials, with the right ones."""
        raise NotImplementedError

    @pytest.fixture
    def wrong(self) -> list[Mapping[str, str]]:
        """What to replace in `guarded` to be refused: one for each way to sign in."""
        raise NotImplementedError

    def test_the_right_credentials_are_let_in_and_never_told(
        self, driver: Driver, environment: Environment, guarded: Mapping[str, str]
    ) -> None:
        told: list[str] = []
        loud = replace(environment, trace=lambda _, text: told.append(text))
        with driver.open(with_defaults(driver, guarded), loud) as source:
            source.test()
            told.append(repr(source))
        self._hold_no_secret(driver, guarded, " ".join(told))

    def test_wrong_credentials_are_refused_in_words(
        self,
        driver: Driver,
        environment: Environment,
        guarded: Mapping[str, str],
        wrong: list[Mapping[str, str]],
    ) -> None:
        assert wrong
        for one in wrong:
            values = {**guarded, **one}
            with (
                driver.open(with_defaults(driver, values), environment) as source,
                pytest.raises(SourceRefused) as refused,
            ):
                source.test()
            assert refused.value.message
            self._hold_no_secret(driver, values, refused.value.message)

    def _hold_no_secret(self, driver: Driver, values: Mapping[str, str], text: str) -> None:
        for key in driver.keys:
            secret: Any = values.get(key.name)
            if key.secret and secret:
                assert secret not in text, f"{key.name} is told"
