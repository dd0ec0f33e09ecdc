"""Which rows of two sides have no partner on the other, by their hashes.

Rows are paired as a multiset: the nth of some equal rows with the nth of the other side. Both sides
wait in files, in as many parts as it takes for one part of each to fit into memory; rows of one key
are in the same part.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidewell.cache.lookup3 import Hashes
from tidewell.cache.spool import Array, Records

READ = np.dtype([("key", np.uint64), ("row", np.uint64), ("at", np.uint64)])
"""A row that was read: the hashes of its key and of itself, and its number."""
CACHED = np.dtype(
    [("key", np.uint64), ("row", np.uint64), ("block", np.uint32), ("offset", np.uint16)]
)
"""A row that is cached: the same hashes, and its place (`ctid`)."""
_ROWS_OF_A_PART = 200_000


class Parts:
    """Records of one type in several files, by the hash of their key."""

    def __init__(self, kind: np.dtype[np.void], count: int) -> None:
        self._kind = kind
        self._files = [Records(kind) for _ in range(count)]

    def close(self) -> None:
        """Forget them."""
        for one in self._files:
            one.close()

    def add(self, records: Array) -> None:
        """Put each record into its part."""
        if len(self._files) == 1:
            self._files[0].add(records)
            return
        # The lowest bits have chosen the bucket.
        parts = (records["key"] >> np.uint64(32)) % np.uint64(len(self._files))
        for number, file in enumerate(self._files):
            file.add(records[parts == number])

    def each(self) -> Iterator[Array]:
        """The parts, one after another."""
        for file in self._files:
            yield next(file.blocks(max(file.count, 1)), np.empty(0, self._kind))


@dataclass
class Found:
    """What a refresh has to write.

    `new` marks the rows that were read and are not cached as they are; `deleted` are the places of
    cached rows whose key was not read, `replaced` those of rows that were read otherwise.
    `repeated`: keys were read more than once; nothing else means anything then.
    """

    new: npt.NDArray[np.bool_]
    deleted: Records
    replaced: Records
    repeated: bool = False

    @property
    def written(self) -> int:
        """How many of the rows that were read have to be written."""
        return int(self.new.sum())


class Pairing:
    """Takes the rows of both sides that may differ, and tells which do."""

    def __init__(self, rows: int, *, keyed: bool, most: int) -> None:
        """`rows` were read in all; at most `most` of either side may differ."""
        count = -(-most // _ROWS_OF_A_PART) or 1
        self._keyed = keyed
        self.read = Parts(READ, count)
        self.cached = Parts(CACHED, count)
        self._found = Found(np.zeros(rows, np.bool_), Records(CACHED), Records(CACHED))

    def close(self) -> None:
        """Forget all, and what was found."""
        self.read.close()
        self.cached.close()
        self._found.deleted.close()
        self._found.replaced.close()

    def found(self) -> Found:
        """Pair all rows that were taken."""
        found = self._found
        for read, cached in zip(self.read.each(), self.cached.each(), strict=True):
            if self._keyed and _has_repeated(read["key"]):
                found.repeated = True
                return found
            new = read[_unpaired(read["row"], cached["row"])]
            gone = cached[_unpaired(cached["row"], read["row"])]
            found.new[new["at"].astype(np.intp)] = True
            again = np.isin(gone["key"], new["key"]) & self._keyed
            found.deleted.add(gone[~again])
            found.replaced.add(gone[again])
        return found


def _unpaired(ours: Hashes, theirs: Hashes) -> npt.NDArray[np.bool_]:
    """Which of ours have no partner among theirs."""
    order = np.argsort(ours, kind="stable")
    ours, theirs = ours[order], np.sort(theirs)
    nth = np.arange(len(ours)) - np.searchsorted(ours, ours, "left")
    partners = np.searchsorted(theirs, ours, "right") - np.searchsorted(theirs, ours, "left")
    found = np.empty(len(ours), np.bool_)
    found[order] = nth >= partners
    return found


def _has_repeated(hashes: Hashes) -> bool:
    ordered = np.sort(hashes)
    return bool((ordered[1:] == ordered[:-1]).any())
