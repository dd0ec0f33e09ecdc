"""pandas stays out of a process that moves rows, and others can still import it."""

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
