"""The peers, each at its fastest documented setting, in environments of their own.

`make bench` installs them from PyPI into `.bench/<name>`; what does not install, or has no way from
a source, is left out of the table and named.
"""

import os
from collections.abc import Callable
from pathlib import Path

from benchmarks.rig import Measured, Rig

HOME = Path(__file__).parents[1] / ".bench"

_DLT = """
import os, sys
import dlt, pyarrow as pa, pyarrow.parquet as pq

kind, source, target, mode, unique, home = sys.argv[1:]
os.environ["DATA_WRITER__DISABLE_COMPRESSION"] = "true"

# A float of four bytes comes to nothing between dlt and its driver.
def wide(table):
    kinds = [pa.float64() if one.type == pa.float32() else one.type for one in table.schema]
    fields = [one.with_type(kind) for one, kind in zip(table.schema, kinds)]
    return table.cast(pa.schema(fields))

# A primary key alone makes no index; `unique` does.
@dlt.resource(name="rows", primary_key="id" if mode == "merge" else None,
              columns={"id": {"unique": True}} if unique else {})
def parquet():
    for batch in pq.ParquetFile(source, pre_buffer=False).iter_batches(65536):
        yield wide(pa.Table.from_batches([batch]))

def rows():
    if kind == "parquet":
        return parquet()
    from dlt.sources.sql_database import sql_table
    backend = "connectorx" if kind == "postgresql" else "pyarrow"
    schema = "public" if kind == "postgresql" else None
    return sql_table(credentials=source, table="rows", schema=schema, backend=backend,
                     chunk_size=100_000).add_map(wide)

pipeline = dlt.pipeline("bench", destination=dlt.destinations.postgres(target),
                        dataset_name="peer_dlt", pipelines_dir=home)
disposition = {"disposition": "merge", "strategy": "upsert"} if mode == "merge" else "replace"
pipeline.run(rows(), write_disposition=disposition, loader_file_format="parquet")
"""


class PeerFailed(Exception):
    """A peer did not load the rows."""


class Peers:
    """What each peer does with the same rows; a way that it does not have is not asked for."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def ways(self, kind: str, source: str) -> dict[str, Callable[[], Measured]]:
        """The first load from a file, or from the address of a database, by peer."""
        found: dict[str, Callable[[], Measured]] = {}
        if (HOME / "dlt").exists():
            found["dlt"] = lambda: self.dlt(kind, source, "replace")
        if (HOME / "ingestr").exists() and kind != "parquet":
            found["ingestr"] = lambda: self._ingestr(kind, source)
        if (HOME / "sling").exists():
            found["sling"] = lambda: self._sling(kind, source)
        return found

    def dlt(
        self,
        kind: str,
        source: str,
        mode: str,
        *,
        unique: bool = False,
        strategy: str = "truncate-and-insert",
    ) -> Measured:
        """dlt: Arrow to Parquet to ADBC; connectorx from PostgreSQL.

        `unique`: PostgreSQL sees to it that no `id` comes twice, as it does for our key. In the
        fastest `strategy` people read an empty table meanwhile; in `insert-from-staging` they wait.
        """
        script = self._rig.folder / "dlt_load.py"
        script.write_text(_DLT)
        of_table = "unique" if unique else ""
        # A home remembers what its tables had.
        home = self._rig.folder / f"dlt_home_{of_table}"
        command = [HOME / "dlt" / "bin" / "python", script, kind, source, self._rig.url, mode]
        return self._measured(
            [*map(str, command), of_table, str(home)], DESTINATION__REPLACE_STRATEGY=strategy
        )

    def _ingestr(self, kind: str, source: str) -> Measured:
        table = "public.rows" if kind == "postgresql" else "main.rows"
        return self._measured(
            [
                str(HOME / "ingestr" / "bin" / "ingestr"),
                *("ingest", "--yes", "--progress", "log", "--full-refresh"),
                *("--source-uri", source, "--source-table", table),
                *("--dest-uri", self._rig.url, "--dest-table", "peer_ingestr.rows"),
                *("--sql-backend", "pyarrow"),
            ]
        )

    def _sling(self, kind: str, source: str) -> Measured:
        stream = {"parquet": f"file://{source}", "postgresql": "public.rows", "sqlite": "main.rows"}
        command = [_sling_binary(), "run", "--src-stream", stream[kind]]
        if kind != "parquet":
            address = source.replace("sqlite:///", "sqlite://", 1)
            plain = "?sslmode=disable" if kind == "postgresql" else ""
            command += ["--src-conn", address + plain]
        target = ["--tgt-conn", self._rig.url + "?sslmode=disable"]
        return self._measured(
            [*command, *target, "--tgt-object", "peer_sling.rows", "--mode", "full-refresh"]
        )

    def _measured(self, command: list[str], **settings: str) -> Measured:
        environment = (
            os.environ
            | settings
            | {
                "INGESTR_DISABLE_TELEMETRY": "true",
                "RUNTIME__DLTHUB_TELEMETRY": "false",
                "SLING_DISABLE_TELEMETRY": "true",
                "HOME": str(self._rig.folder / "home_of_peers"),
            }
        )
        try:
            return self._rig.measured(lambda: self._rig.program(command, environment=environment))
        except SystemExit as error:
            raise PeerFailed(str(error).splitlines()[-1][:200]) from error


def _sling_binary() -> str:
    """The program inside the wheel: its Python wrapper would fetch another when it runs."""
    found = (HOME / "sling").glob("lib/*/site-packages/sling_linux_amd64/bin/sling-linux-amd64")
    return str(next(found))
