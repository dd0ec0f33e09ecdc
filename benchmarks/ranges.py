"""`make bench-ranges`: a first load of one PostgreSQL table by one process and by several.

Once with the source on the same machine, whose cores all sides share, and once through a relay that
passes on a connection's bytes in pieces of at most 64 KiB, each after a pause: a link whose speed
is bounded for each connection, as that of a distant server is by its round trips.
"""

import argparse
import tempfile
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from rich.console import Console
from tests.faulty_relay import Fault, relay

from benchmarks.load import Bench, Results, versions
from benchmarks.rig import Measured, Rig, Source
from tidewell.state.embedded import start

DIRECT = "beside the cache"


def main() -> None:
    """Measure, print, and write the tables where `--write` says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", default="1,2,4")
    parser.add_argument("--latency", type=float, default=0.02, help="seconds a piece")
    parser.add_argument("--only", choices=("direct", "far"))
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    console = Console(width=120)
    results = Results(console)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        with start(folder / "home") as server, relay(server.host, server.port) as link:
            rig = Rig(server, folder)
            console.print(versions(rig))
            bench = Bench(rig, options.rows, 1, results)
            bench.write_binary()
            source, url = bench.as_postgresql()
            with psycopg.connect(url) as connection:
                connection.execute("ALTER TABLE rows ADD PRIMARY KEY (id)")
            link.fault = Fault(latency=options.latency)
            far = Source(source.driver, source.values | {"Port": str(link.port)}, source.schema)
            pause = f"{options.latency * 1000:.0f} ms"
            places = {DIRECT: source, f"through a relay ({pause} for 64 KiB)": far}
            for place, where in places.items():
                if options.only in (None, "direct" if place == DIRECT else "far"):
                    processes = [int(one) for one in options.processes.split(",")]
                    found: dict[str, list[Measured]] = {_side(one): [] for one in processes}
                    for turn in range(options.rounds):
                        for one in processes if turn % 2 else reversed(processes):
                            found[_side(one)].append(_load(rig, where, one, options.rows))
                    results.table(
                        f"First load of {options.rows:,} rows with a key, {place}",
                        _side(processes[0]),
                        found,
                        options.rows,
                    )
            if options.write:
                options.write.write_text("\n".join([versions(rig), "", *results.lines]) + "\n")


def _side(processes: int) -> str:
    return f"{processes} process{'es' if processes > 1 else ''}"


def _load(rig: Rig, source: Source, processes: int, rows: int) -> Measured:
    job = uuid4()
    measured = rig.ours(job, source, processes=processes)
    if rig.count(sql.Identifier("Bench", "rows")) != rows:
        raise SystemExit("not all rows were loaded")
    rig.forget(job)
    return measured


if __name__ == "__main__":
    main()
