"""Rows of two sides are paired by their hashes, in however many parts."""

from collections import Counter
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewell.cache import pairing
from tidewell.cache.pairing import Pairing, Parts

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=12)
by_key = st.dictionaries(st.integers(0, 9), st.integers(0, 3), max_size=9)


def hashed(key: int, value: int) -> tuple[int, int]:
    """Hashes of a key and of its row, spread over all bits."""
    return key * 0x9E3779B97F4A7C15 % 2**64, (key * 64 + value) * 0xC2B2AE3D27D4EB4F % 2**64


def paired(
    read: list[tuple[int, int]], cached: list[tuple[int, int]], *, keyed: bool
) -> tuple[Counter[tuple[int, int]], Counter[tuple[int, int]], Counter[tuple[int, int]]]:
    """The rows that are new, deleted, and replaced."""
    most = max(len(read), len(cached))
    with closing(Pairing(len(read), len(cached), keyed=keyed, most=most)) as one:
        for side, rows in (one.read, read), (one.cached, cached):
            for at, row in enumerate(rows):
                add(side, *hashed(*row), at)
        found = one.found()
        assert not found.repeated
        new = Counter(read[at] for at in np.flatnonzero(found.new))
        deleted, replaced = (
            Counter(cached[at] for at in np.flatnonzero(chosen))
            for chosen in (found.deleted, found.replaced)
        )
        return new, deleted, replaced


def add(side: Parts, key: int, row: int, at: int) -> None:
    side.add(np.array([key], np.uint64), np.array([row], np.uint64), np.array([at]))


@pytest.mark.parametrize("part", [1, 3, 1000])
def test_rows_without_a_key_are_paired_as_a_multiset(
    part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairing, "_ROWS_OF_A_PART", part)

    @given(read=rows, cached=rows)
    def check(read: list[tuple[int, int]], cached: list[tuple[int, int]]) -> None:
        new, deleted, replaced = paired(read, cached, keyed=False)
        assert new == Counter(read) - Counter(cached)
        assert deleted == Counter(cached) - Counter(read)
        assert not replaced

    check()


def test_ever_more_rows_do_not_take_ever_more_files() -> None:
    with closing(Pairing(0, 0, keyed=True, most=10**9)) as one:
        assert len(one.read._files) == len(one.cached._files) <= 128


@pytest.mark.parametrize("part", [1, 3, 1000])
def test_rows_of_one_key_replace_each_other(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairing, "_ROWS_OF_A_PART", part)

    @given(read=by_key, cached=by_key)
    def check(read: dict[int, int], cached: dict[int, int]) -> None:
        new, deleted, replaced = paired(list(read.items()), list(cached.items()), keyed=True)
        assert set(new) == read.items() - cached.items()
        assert {key for key, _ in deleted} == cached.keys() - read.keys()
        assert {key for key, _ in replaced} == {
            key for key in cached.keys() & read.keys() if cached[key] != read[key]
        }

    check()


def test_a_key_that_was_read_twice_is_told() -> None:
    with closing(Pairing(2, 0, keyed=True, most=2)) as one:
        for at in range(2):
            add(one.read, *hashed(1, at), at)
        assert one.found().repeated


@given(read=by_key, cached=by_key)
def test_two_cached_keys_of_one_hash_are_two_rows(
    read: dict[int, int], cached: dict[int, int]
) -> None:
    """Such a key is an odd one and the even one after it; what is read has even ones only."""

    def alike(rows: dict[int, int]) -> list[tuple[int, int]]:
        return [hashed(key // 2, key % 2 * 8 + value) for key, value in rows.items()]

    read = {key * 2: value for key, value in read.items()}
    with closing(Pairing(len(read), len(cached), keyed=True, most=20)) as one:
        for side, rows in (one.read, read), (one.cached, cached):
            for at, hashes in enumerate(alike(rows)):
                add(side, *hashes, at)
        found = one.found()
    new = [list(read)[at] for at in np.flatnonzero(found.new)]
    gone = [list(cached)[at] for at in np.flatnonzero(found.deleted | found.replaced)]
    assert {*new} == {key for key, value in read.items() if cached.get(key) != value}
    assert {*gone} == {key for key, value in cached.items() if read.get(key) != value}
