"""Keeps pandas out of the processes that move rows, where something else has installed it."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import pyarrow as pa


class _NoPandas:
    """Finds that there is no pandas."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
        return None


def keep_pandas_out() -> None:
    """Let PyArrow look for pandas once, and find none.

    It would import it for its first array: a second and some 60 MB, for nothing that we use. Others
    can still import it afterwards.
    """
    sys.meta_path.insert(0, _NoPandas)
    try:
        pa.array([])
    finally:
        sys.meta_path.remove(_NoPandas)
