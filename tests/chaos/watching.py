"""Who looks on all through: a reader of the cached tables, and a judge of the runs' states."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from tests.chaos.tables import CachedTable

RECOVERY_SECONDS = 15.0
"""From a worker's last sign of life, which comes before its death, to its runs' recovery."""

_SILENCE = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - beat_at)), 0) FROM run
 WHERE state = 'running'
"""


class Reader:
    """Polls the cached tables; whatever is not whole is kept as a complaint."""

    def __init__(self, url: str, tables: list[CachedTable], *, may_be_away: bool = False) -> None:
        self._url = url
        self._tables = tables
        self._may_be_away = may_be_away
        self._ended = threading.Event()
        self.complaints: list[str] = []
        self.polls = 0

    def _poll(self) -> None:
        while not self._ended.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    while not self._ended.wait(0.02):
                        for table in list(self._tables):
                            if wrong := table.look(connection):
                                self.complaints.append(wrong)
                        self.polls += 1
            except psycopg.OperationalError as error:
                if not self._may_be_away:
                    self.complaints.append(f"not readable: {error}")
                time.sleep(0.1)

    @contextmanager
    def reading(self) -> Iterator["Reader"]:
        """Poll while the block runs."""
        thread = threading.Thread(target=self._poll)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()


class Judge:
    """Looks how long a run is called running although nobody gives a sign of life for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self.longest_silence = 0.0

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                with psycopg.connect(self._url, autocommit=True) as connection:
                    while not self._ended.wait(0.25):
                        row: Any = connection.execute(_SILENCE).fetchone()
                        self.longest_silence = max(self.longest_silence, float(row[0]))
            except psycopg.OperationalError:
                time.sleep(0.1)

    @contextmanager
    def watching(self) -> Iterator["Judge"]:
        """Watch while the block runs."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()
