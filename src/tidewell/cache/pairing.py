"""Which rows of two sides have no partner on the other, by their hashes.

Rows are paired as a multiset: the nth of some equal rows with the nth of the other side. Both sides
wait in files, in as many parts as it takes for one part of each to fit into memory; rows of one key
are in the same part.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidewell.cache.lookup3 import Hashes
from tidewell.cache.spool import Array, Records

ROW = np.dtype([("key", np.uint64), ("row", np.uint64), ("at", np.uint64)])
"""A row of either side: the hashes of its key and of itself, and its number there."""
_ROWS_OF_A_PART = 200_000
_MOST_PARTS = 128
"""Each is a file of either side: a process may often open a thousand, and parts may be larger."""

Chosen = npt.NDArray[np.bool_]
Columns = Mapping[str, Array]


class Parts:
    """Rows of one side in several files, by the hash of their key."""

    def __init__(self, count: int) -> None:
        self._files = [Records(ROW) for _ in range(count)]

    def close(self) -> None:
        """Forget them."""
        for one in self._files:
            one.close()

    def add(self, keys: Hashes, rows: Hashes, at: npt.NDArray[np.intp]) -> None:
        """Put rows, of which these are the hashes and the numbers, into their parts."""
        records = np.empty(len(keys), ROW)
        records["key"], records["row"], records["at"] = keys, rows, at
        if len(self._files) == 1:
            self._files[0].add(records)
            return
        # The lowest bits have chosen the bucket.
        parts = (keys >> np.uint64(32)) % np.uint64(len(self._files))
        for number, file in enumerate(self._files):
            file.add(records[parts == number])

    def each(self) -> Iterator[Array]:
        """The parts, one after another."""
        for file in self._files:
            yield next(file.blocks(max(file.count, 1)), np.empty(0, ROW))


@dataclass
class Found:
    """What a refresh has to write.

    `new` marks the rows that were read and are not cached as they are; `deleted` the cached rows
    whose key was not read, `replaced` those that were read otherwise. `repeated`: keys were read
    more than once; nothing else means anything then.
    """

    new: Chosen
    deleted: Chosen
    replaced: Chosen
    repeated: bool = False

    @property
    def written(self) -> int:
        """How many of the rows that were read have to be written."""
        return int(self.new.sum())


class Pairing:
    """Takes the rows of both sides that may differ, and tells which do."""

    def __init__(self, read: int, cached: int, *, keyed: bool, most: int) -> None:
        """So many rows were `read`, and are `cached`; at most `most` of either side may differ."""
        count = min(-(-most // _ROWS_OF_A_PART), _MOST_PARTS) or 1
        self._keyed = keyed
        self.read, self.cached = Parts(count), Parts(count)
        of_cached = np.zeros(cached, np.bool_)
        self._found = Found(np.zeros(read, np.bool_), of_cached, of_cached.copy())

    def close(self) -> None:
        """Forget all rows."""
        self.read.close()
        self.cached.close()

    def found(self) -> Found:
        """Pair all rows that were taken."""
        for read, cached in zip(self.read.each(), self.cached.each(), strict=True):
            if not self._keyed:
                self._pair(read, cached)
                continue
            ours, theirs = _by_key(read), _by_key(cached)
            if _has_repeated(ours["key"]):
                self._found.repeated = True
                break
            # Two cached keys may have one hash: in one of 37 million loads of a million rows.
            pair = self._pair if _has_repeated(theirs["key"]) else self._pair_by_key
            pair(ours, theirs)
        return self._found

    def _pair(self, read: Columns | Array, cached: Columns | Array) -> None:
        """As a multiset."""
        new = _unpaired(read["row"], cached["row"])
        gone = _unpaired(cached["row"], read["row"])
        again = np.zeros(int(gone.sum()), np.bool_)
        if self._keyed:
            again = np.isin(cached["key"][gone], read["key"][new])
        self._found.new[read["at"][new]] = True
        self._found.deleted[cached["at"][gone][~again]] = True
        self._found.replaced[cached["at"][gone][again]] = True

    def _pair_by_key(self, read: Columns, cached: Columns) -> None:
        """Each row with the one of its key, in a tenth of the time; both sides in their order."""
        place = np.searchsorted(cached["key"], read["key"])
        inside = np.flatnonzero(place < len(cached["key"]))
        ours = inside[cached["key"][place[inside]] == read["key"][inside]]
        theirs = place[ours]
        same = read["row"][ours] == cached["row"][theirs]
        self._found.new[np.delete(read["at"], ours[same])] = True
        self._found.deleted[np.delete(cached["at"], theirs)] = True
        self._found.replaced[cached["at"][theirs[~same]]] = True


def _by_key(records: Array) -> Columns:
    """The columns of records, in the order of their keys."""
    order = np.argsort(np.ascontiguousarray(records["key"]))
    return {name: records[name][order] for name in ROW.names or ()}


def _unpaired(ours: Hashes, theirs: Hashes) -> Chosen:
    """Which of ours have no partner among theirs."""
    order = np.argsort(ours, kind="stable")
    ours, theirs = ours[order], np.sort(theirs)
    nth = np.arange(len(ours)) - np.searchsorted(ours, ours, "left")
    partners = np.searchsorted(theirs, ours, "right") - np.searchsorted(theirs, ours, "left")
    found = np.empty(len(ours), np.bool_)
    found[order] = nth >= partners
    return found


def _has_repeated(ordered: Hashes) -> bool:
    return bool((ordered[1:] == ordered[:-1]).any())
