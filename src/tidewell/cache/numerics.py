"""The hash of PostgreSQL's numeric over many values at once, in numpy.

As `hash_numeric_extended` of `src/backend/utils/adt/numeric.c` computes it, PostgreSQL 13 to 18 on
little-endian machines: of the digits to the base 10,000 without zeros at either end, and their
weight. It leaves the sign out and the weight is one low number, so that what is hashed on both
sides is the value with a number added: another sign or power of ten then gives other digits.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidewell.cache.lookup3 import Hashes, hash_words

SHIFT = 31_415_927
"""What is added to each value."""
_BASE = 10_000
_DIGITS = 4
"""Decimal digits of one of the base."""
_LIMB = 32
_MASK = 0xFFFFFFFF
_LIMBS = 6
"""Enough for 38 digits, those that the base adds after the point, and the shift."""
_PADDING = 7
"""Digits that fill the last block of twelve bytes, which has at least one byte free."""

Limbs = list[npt.NDArray[np.int64]]
Digits = list[npt.NDArray[np.uint32]]


def hash_decimals(values: pa.Array, seed: int) -> Hashes:
    """Hash decimals of 128 bits; where one is NULL, its hash means nothing."""
    scale = values.type.scale
    after = -(-scale // _DIGITS)
    times = 10 ** (after * _DIGITS - scale)
    shift = SHIFT * 10 ** (after * _DIGITS)
    words = np.frombuffer(values.buffers()[1], np.int64).reshape(-1, 2)
    words = words[values.offset : values.offset + len(values)]
    if values.null_count:
        words = np.where(values.is_null().to_numpy(zero_copy_only=False)[:, None], 0, words)
    low, high = words[:, 0], words[:, 1]
    largest = max(int(low.max(initial=0)), -int(low.min(initial=0)))
    if (high == low >> 63).all() and largest * times + shift < 2**63:
        digits = _digits(np.abs(low * np.int64(times) + np.int64(shift)))
    else:
        digits = _digits_of_limbs(_shifted(words, times, shift))
    return _hash_digits(digits, len(values), after, seed)


def _digits(rest: npt.NDArray[np.int64]) -> Digits:
    """The digits of all values, the most significant first."""
    found = []
    while rest.any():
        above = rest // _BASE
        found.append((rest - above * _BASE).astype(np.uint32))
        rest = above
    return found[::-1]


def _digits_of_limbs(limbs: Limbs) -> Digits:
    found = []
    while any(limb.any() for limb in limbs):
        found.append(_divided(limbs).astype(np.uint32))
    return found[::-1]


def _shifted(words: npt.NDArray[np.int64], times: int, shift: int) -> Limbs:
    """`times` each value and the shift, without the sign: limbs of 32 bits, the lowest first."""
    halves = [(words[:, part] >> bits) & _MASK for part in (0, 1) for bits in (0, _LIMB)]
    negative = words[:, 1] < 0
    limbs = _complemented(halves, negative)
    limbs += [np.zeros_like(limbs[0])] * (_LIMBS - len(limbs))
    carry = np.zeros_like(limbs[0])
    sign = np.where(negative, -1, 1)
    for position, limb in enumerate(limbs):
        product = limb * times + carry
        limbs[position], carry = product & _MASK, product >> _LIMB
    carry = np.zeros_like(limbs[0])
    for position, limb in enumerate(limbs):
        total = sign * limb + (shift >> _LIMB * position & _MASK) + carry
        limbs[position], carry = total & _MASK, total >> _LIMB
    return _complemented(limbs, carry < 0)


def _complemented(limbs: Limbs, chosen: npt.NDArray[np.bool_]) -> Limbs:
    """The chosen numbers with the other sign."""
    found: Limbs = []
    carry = chosen.astype(np.int64)
    for limb in limbs:
        turned = np.where(chosen, ~limb & _MASK, limb) + carry
        found.append(turned & _MASK)
        carry = turned >> _LIMB
    return found


def _divided(limbs: Limbs) -> npt.NDArray[np.int64]:
    """Divide by the base in place; returns what is left over."""
    rest = np.zeros_like(limbs[0])
    for position in reversed(range(len(limbs))):
        limbs[position], rest = np.divmod(rest << _LIMB | limbs[position], _BASE)
    return rest


def _hash_digits(digits: Digits, rows: int, after: int, seed: int) -> Hashes:
    """Values of as many zeros before their first digit go together."""
    zeros = _zeros(digits, rows)
    least, most = int(zeros.min(initial=len(digits))), int(zeros.max(initial=0))
    if least == most:
        return _hash_from(digits, most, rows, after, seed)
    hashes = np.empty(rows, np.uint64)
    for first in range(least, most + 1):
        chosen = np.flatnonzero(zeros == first)
        if len(chosen):
            some = [digit[chosen] for digit in digits]
            hashes[chosen] = _hash_from(some, first, len(chosen), after, seed)
    return hashes


def _hash_from(digits: Digits, first: int, rows: int, after: int, seed: int) -> Hashes:
    """Hash values whose first digit that is not zero stands at the same place."""
    if first == len(digits):
        return np.full(rows, (seed - 1) % 2**64, np.uint64)
    weight = np.int64(len(digits) - after - 1 - first)
    lengths = 2 * (len(digits) - first - _zeros(digits[::-1], rows))
    nothing = np.zeros(rows, np.uint32)
    # Two digits make a word; what is behind the last one is zero, as the padding is.
    padded = [*digits[first:], *[nothing] * _PADDING]
    words = [
        low | high << np.uint32(16) for low, high in zip(padded[::2], padded[1::2], strict=False)
    ]
    return hash_words(words, lengths, seed) ^ weight.view(np.uint64)


def _zeros(digits: Digits, rows: int) -> npt.NDArray[np.int64]:
    """How many digits are zero before the first one that is not."""
    found = np.zeros(rows, np.int64)
    so_far = np.ones(rows, np.bool_)
    for digit in digits:
        so_far &= digit == 0
        if not so_far.any():
            break
        found += so_far
    return found
