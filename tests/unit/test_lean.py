"""What a process that moves rows does without, and what others can still import."""

import subprocess
import sys

SCRIPT = """
import sys
from tidewell.lean import keep_pandas_out
keep_pandas_out()
import duckdb, pyarrow as pa
from tidewell.sources.files import columns
code = '''
def use(duckdb, pa):
    pa.array([1, None]).is_null().to_numpy(zero_copy_only=False)
    reader = duckdb.connect().execute("SELECT $one AS one", {"one": 1}).to_arrow_reader(10)
    assert [batch.to_pylist() for batch in reader] == [[{"one": 1}]]
'''
exec(code, vars(columns))
columns.use(duckdb, pa)
assert "pandas" not in sys.modules
import pandas
assert pandas.DataFrame({"a": [1]}).shape == (1, 1)
"""


def test_arrays_and_statements_do_without_pandas_and_others_get_it() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)


def test_what_a_copy_of_local_files_does_not_need_is_not_imported() -> None:
    """Each of them takes 10 to 50 MB, or a tenth of a second, in every process that copies."""
    imported = _imported(
        "import tidewell.runs.child; from tidewell.sources import registry; "
        "from tidewell.sources.protocol import Environment; "
        "files = registry.driver('Files'); values = {key.name: key.default for key in files.keys}; "
        "files.open(values | {'URI': '/'}, Environment())"
    )
    assert {"tidewell.runs.caching", "duckdb", "pgpq"} <= imported
    heavy = {"sqlglot", "httpx", "pydantic", "structlog", "sqlalchemy", "fastapi", "procrastinate"}
    assert not heavy & imported


def test_a_node_knows_every_driver_and_reads_no_rows_and_no_sql() -> None:
    """What a source is opened with is for the process that asks it, or copies from it."""
    imported = _imported(
        "import tidewell.cli.serve, tidewell.cli.http; from tidewell.sources import registry; "
        "[registry.driver(name).keys for name in registry.names()]"
    )
    assert {"fastapi", "tidewell.jobs.source_check", "tidewell.sources.snowflake"} <= imported
    assert not {"numpy", "pyarrow", "duckdb", "sqlglot", "sqlalchemy", "airbyte_cdk"} & imported


def test_a_worker_and_a_ticker_leave_rows_to_the_processes_of_runs_and_calls_to_the_api() -> None:
    imported = _imported("import tidewell.cli.serve")
    assert {"procrastinate", "tidewell.runs.worker", "tidewell.runs.settling"} <= imported
    assert not {"numpy", "pyarrow", "pgpq", "duckdb", "fastapi", "uvicorn"} & imported


def _imported(code: str) -> set[str]:
    """What a fresh process has imported after this."""
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(ended.stdout.split())
