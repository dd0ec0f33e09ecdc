"""Whether a run has anything to read: the version of its source's rows, as its job reads them."""

import hashlib

import orjson

from tidewell import __version__
from tidewell.errors import SourceError
from tidewell.runs.messages import CachingTask
from tidewell.sources import registry
from tidewell.sources.protocol import Source, VersionedSource


class SourceVersion:
    """The version of a source's table, as one job reads it.

    It takes in all that a load depends on besides the rows: the job's params, the connection's
    values, and Tidewell itself.
    """

    def __init__(self, source: Source, task: CachingTask) -> None:
        self._source = source
        self._task = task
        self._told: str | None = None

    def before_reading(self) -> str | None:
        """The version before anything of the table is read; None: there is none."""
        self._told = self._told or self._tell()
        return None if self._told is None else self._with_plan(self._told)

    def after_reading(self) -> str | None:
        """The same, where it is still so: it is then that of the rows that were read.

        None also where it was not asked for before.
        """
        if self._told is None or self._told != self._tell():
            return None
        return self._with_plan(self._told)

    def _tell(self) -> str | None:
        task = self._task
        # A filter may ask what time it is; a first load in parts has not read all rows.
        if not isinstance(self._source, VersionedSource) or task.filter or task.max_rows:
            return None
        named = " ".join((task.time_column, *(task.merge_keys or ()), *(task.columns or ())))
        try:
            return self._source.version(task.source_schema, task.source_table, named)
        except SourceError:
            # Whatever is wrong is told by the read.
            return None

    def _with_plan(self, told: str) -> str:
        task = self._task
        neutral = {key.name for key in registry.driver(task.driver).keys if key.neutral}
        values = {name: value for name, value in task.source.items() if name not in neutral}
        parts = (
            __version__,
            told,
            task.driver,
            sorted(values.items()),
            (task.source_schema, task.source_table, task.connection_name),
            (task.cache_schema, task.cache_table),
            (task.time_column, task.merge_keys, task.columns),
            (task.truncate_strings, task.detect_deletes, task.rebuild_on_type_change),
        )
        return hashlib.sha256(orjson.dumps(parts)).hexdigest()
