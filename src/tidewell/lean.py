"""Keeps pandas out of the processes that move rows, where something else has installed it."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType

_LOOK_FOR_IT = ("tidewell", "pyarrow", "duckdb")
"""Packages for which there is none: PyArrow and DuckDB take what they find, and we use nothing of
it. Others (an Airbyte connector) still import it."""


class _NoPandas:
    """Finds that there is no pandas, for those who would only look whether there is one."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas" and _importing_package(sys._getframe(1)) in _LOOK_FOR_IT:
            raise ModuleNotFoundError(name=name)
        return None


def _importing_package(frame: FrameType | None) -> str:
    """The package whose code imports; that of the caller where compiled code does it."""
    while frame is not None:
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package not in ("importlib", "_frozen_importlib"):
            return package
        frame = frame.f_back
    return ""


def keep_pandas_out() -> None:
    """Let PyArrow and DuckDB find no pandas in this process.

    PyArrow would import it for its first array, DuckDB for its first statement with a parameter: a
    second and some 60 MB, for nothing that we use.
    """
    sys.meta_path.insert(0, _NoPandas)
