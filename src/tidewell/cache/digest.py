"""The receipt's digest: of the rows that were read, and of what then stands in PostgreSQL.

Both sides compute the same: a hash of each row, and the sum over all rows, so that their order does
not matter. Here it is numpy over the batches that are about to be encoded, there one statement over
the staging table (`digest.sql`). JSON is counted, because PostgreSQL rewrites it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from psycopg import sql

from tidewell.cache.address import Connection
from tidewell.cache.lookup3 import Hashes
from tidewell.cache.rowhash import RowHash, Seen
from tidewell.cache.types import Held
from tidewell.state.statements import statements

_SQL = statements("tidewell.cache", "digest.sql")


@dataclass
class Sums:
    """What a digest is made of: rows, the sum of their hashes, counts by column of the others."""

    rows: int
    hashes: int
    others: list[int]

    @property
    def text(self) -> str:
        """A short text that two digests have in common only if all of it is equal."""
        parts = [self.rows, self.hashes % 2**64, *self.others]
        return hashlib.sha256(" ".join(str(one) for one in parts).encode()).hexdigest()[:32]


class Digest:
    """Computes both sides for the columns of one load (see RowHash)."""

    def __init__(self, columns: Sequence[tuple[str, Held]], *, utf8: bool = True) -> None:
        self.row_hash = RowHash(columns, utf8=utf8)
        self.read = Sums(0, 0, [0] * len(self.row_hash.unhashed))

    def see(self, batch: pa.RecordBatch) -> Hashes:
        """Take a batch into account, as it is about to be encoded; returns its rows' hashes."""
        hashes = self.row_hash.of(batch)
        for other, (position, _) in enumerate(self.row_hash.unhashed):
            values = batch.column(position)
            self.read.others[other] += len(values) - values.null_count
        self.read.rows += batch.num_rows
        self.read.hashes += sum_signed(hashes)
        return hashes

    def take(self, sums: Sums, seen: Seen) -> None:
        """Take into account the rows of another digest of the same columns."""
        self.row_hash.take(seen)
        self.read.rows += sums.rows
        self.read.hashes += sums.hashes
        for other, counted in enumerate(sums.others):
            self.read.others[other] += counted

    def of_table(self, connection: Connection, table: sql.Identifier) -> Sums:
        """What stands in a table, as the server sees it."""
        statement = sql.SQL(_SQL["digest"]).format(
            table=table,
            row=self.row_hash.expression("staged", unseen=False),
            rest=sql.SQL("").join(sql.SQL(", ") + part for _, part in self.row_hash.unhashed),
        )
        found = connection.execute(statement).fetchone() or (0, 0)
        return Sums(found[0], int(found[1]), list(found[2:]))


def sum_signed(hashes: Hashes) -> int:
    """The sum of hashes as the server's signed numbers, exactly."""
    low = int((hashes & np.uint64(0xFFFFFFFF)).sum(dtype=np.uint64))
    high = int((hashes.view(np.int64) >> 32).sum(dtype=np.int64))
    return (high << 32) + low
