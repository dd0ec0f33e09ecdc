"""PostgreSQL's hash functions over many values at once: Bob Jenkins' lookup3, in numpy.

As in `src/common/hashfn.c` and `src/backend/access/hash/hashfunc.c` of PostgreSQL 13 to 18 on
little-endian machines; each function answers what the server's `hash…extended(value, seed)` does.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Words = npt.NDArray[np.uint32]

_START = 0x9E3779B9 + 3923095
_MASK = 0xFFFFFFFF
_BLOCK = 12
"""Bytes that one round takes in."""


def hash_uint32(values: Words, seed: int) -> Hashes:
    """`hash_uint32_extended`: what hashint2extended, hashint4extended and others come down to."""
    start = _seeded(4, seed)
    a = values + np.uint32(start[0])
    return _final(a, np.full_like(a, start[1]), np.full_like(a, start[2]))


def hash_int64(values: npt.NDArray[np.int64], seed: int) -> Hashes:
    """`hashint8extended`, and so the hash of times: equal to that of narrower integers."""
    low = values.astype(np.uint32)
    high = (values >> 32).astype(np.uint32)
    return hash_uint32(low ^ np.where(values >= 0, high, ~high), seed)


def hash_float64(values: npt.NDArray[np.float64], seed: int) -> Hashes:
    """`hashfloat8extended`: minus zero is zero, and there is one NaN."""
    same = np.where(np.isnan(values), np.float64("nan"), values)
    words = same.view(np.uint32).reshape(-1, 2)
    start = _seeded(8, seed)
    a = words[:, 0] + np.uint32(start[0])
    hashes = _final(a, words[:, 1] + np.uint32(start[1]), np.full_like(a, start[2]))
    hashes[values == 0] = seed
    return hashes


def hash_padded(words: Words, lengths: npt.NDArray[np.int64], seed: int) -> Hashes:
    """`hash_any_extended` of byte strings.

    `words` has a row for each string, padded with zeros to a multiple of 12 bytes that is longer
    than the string; `lengths` are in bytes.
    """
    return hash_words(words.T, lengths, seed)


def hash_words(words: Sequence[Words] | Words, lengths: npt.NDArray[np.int64], seed: int) -> Hashes:
    """The same, given by words: the first of all strings, the second of all, and so on."""
    # Strings of as many whole blocks go through the rounds together, without a mask.
    blocks = lengths // _BLOCK
    if not len(blocks):
        return np.empty(0, np.uint64)
    least, most = int(blocks.min()), int(blocks.max())
    if least == most:
        return _hash_blocks(words, lengths, most, seed)
    hashes = np.empty(len(lengths), np.uint64)
    for count in range(least, most + 1):
        chosen = np.flatnonzero(blocks == count)
        if len(chosen):
            some = [word[chosen] for word in words[: 3 * count + 3]]
            hashes[chosen] = _hash_blocks(some, lengths[chosen], count, seed)
    return hashes


def _hash_blocks(
    words: Sequence[Words] | Words, lengths: npt.NDArray[np.int64], count: int, seed: int
) -> Hashes:
    """Strings that all have `count` whole blocks and a rest."""
    rest = lengths - count * _BLOCK
    a, b, c = (part[rest] for part in _starts(count, seed))
    for block in range(count):
        a += words[3 * block]
        b += words[3 * block + 1]
        c += words[3 * block + 2]
        _mix(a, b, c)
    a += words[3 * count]
    b += words[3 * count + 1]
    # The lowest byte of the last word is kept for the length.
    c += words[3 * count + 2] << np.uint32(8)
    return _final(a, b, c)


def _mix(a: Words, b: Words, c: Words) -> None:
    _stir(a, c, 4)
    c += b
    _stir(b, a, 6)
    a += c
    _stir(c, b, 8)
    b += a
    _stir(a, c, 16)
    c += b
    _stir(b, a, 19)
    a += c
    _stir(c, b, 4)
    b += a


def _stir(x: Words, y: Words, turn: int) -> None:
    x -= y
    x ^= _rotated(y, turn)


def _final(a: Words, b: Words, c: Words) -> Hashes:
    _settle(c, b, 14)
    _settle(a, c, 11)
    _settle(b, a, 25)
    _settle(c, b, 16)
    _settle(a, c, 4)
    _settle(b, a, 14)
    _settle(c, b, 24)
    return (b.astype(np.uint64) << np.uint64(32)) | c


def _settle(x: Words, y: Words, turn: int) -> None:
    x ^= y
    x -= _rotated(y, turn)


def _rotated(values: Words, turn: int) -> Words:
    found = values << np.uint32(turn)
    found |= values >> np.uint32(32 - turn)
    return found


@cache
def _seeded(length: int, seed: int) -> tuple[int, int, int]:
    """The state before the first byte of a value of this length."""
    state = np.full((3, 1), (_START + length) & _MASK, np.uint32)
    if seed:
        state[0] += np.uint32(seed >> 32)
        state[1] += np.uint32(seed & _MASK)
        _mix(state[0], state[1], state[2])
    return int(state[0, 0]), int(state[1, 0]), int(state[2, 0])


@cache
def _starts(count: int, seed: int) -> tuple[Words, Words, Words]:
    """The states before the first byte, for strings of `count` whole blocks and each rest."""
    first = count * _BLOCK
    found = [_seeded(length, seed) for length in range(first, first + _BLOCK)]
    a, b, c = np.array(found, np.uint32).T.copy()
    return a, b, c
