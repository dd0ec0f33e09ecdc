"""The log of a run: only as much as its verbosity asks for, and never a secret."""

from collections.abc import Callable, Iterable
from urllib.parse import quote

from tidewell import clock
from tidewell.runs.messages import LogLine, Message

MASK = "********"
_LONGEST = 8192
_SHORTEST = 3  # masking one or two letters would blot out the text and hide nothing


class RunLog:
    """Sends the lines of a run that its verbosity allows, with every secret masked."""

    def __init__(
        self, emit: Callable[[Message], None], verbosity: int, secrets: Iterable[str]
    ) -> None:
        self._emit = emit
        self._verbosity = verbosity
        spellings = {form for secret in secrets for form in (secret, quote(secret, safe=""))}
        self._secrets = sorted((s for s in spellings if len(s) >= _SHORTEST), key=len, reverse=True)

    def __call__(self, level: int, message: str) -> None:
        """Log a line; levels are the contract's §8 (1: start, plan, rows, end; 2: requests …)."""
        if level <= self._verbosity:
            self._emit(LogLine(clock.to_wire(clock.now()), level, self.masked(message)))

    def masked(self, text: str) -> str:
        """The text without the run's secrets, cut where it is endless."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
