"""Rows that wait in a file without a name until it is known which of them have to travel."""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_BUCKET = "bucket"


class Spool:
    """Batches with the bucket of each row, written once and read once.

    The file is gone with the process, whatever ends it.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._file = tempfile.TemporaryFile(prefix="tidewell-")  # noqa: SIM115 - closed below
        self._schema = schema.append(pa.field(_BUCKET, pa.uint32()))
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        self._writer = pa.ipc.new_stream(self._file, self._schema, options=options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, batch: pa.RecordBatch, buckets: npt.NDArray[np.uint32]) -> None:
        """Take a batch. Raises OSError where the disk is full."""
        columns = [*batch.columns, pa.array(buckets)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))

    def chosen(self, wanted: npt.NDArray[np.bool_]) -> Iterator[pa.RecordBatch]:
        """The rows whose buckets are wanted."""
        self._writer.close()
        self._file.seek(0)
        for batch in pa.ipc.open_stream(self._file):
            rows = wanted[batch.column(_BUCKET).to_numpy()]
            if rows.any():
                kept = batch if rows.all() else batch.filter(pa.array(rows))
                yield kept.drop_columns([_BUCKET])
