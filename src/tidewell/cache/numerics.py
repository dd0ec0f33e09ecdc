"""The hash of PostgreSQL's numeric over many values at once, in numpy.

As `hash_numeric_extended` of `src/backend/utils/adt/numeric.c` computes it, PostgreSQL 13 to 18 on
little-endian machines: of the digits to the base 10,000 without zeros at either end, and their
weight. It leaves the sign out and the weight is one low number, so that what is hashed on both
sides is the value with a number added: another sign or power of ten then gives other digits.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tidewell.cache.lookup3 import Hashes, hash_padded

SHIFT = 31_415_927
"""What is added to each value."""
_BASE = 10_000
_DIGITS = 4
"""Decimal digits of one of the base."""
_LIMB = 32
_MASK = 0xFFFFFFFF
_LIMBS = 6
"""Enough for 38 digits, those that the base adds after the point, and the shift."""
_PADDING = 12

Limbs = list[npt.NDArray[np.int64]]


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
    return _hash_digits(digits, after, seed)


def _digits(rest: npt.NDArray[np.int64]) -> npt.NDArray[np.int16]:
    """The digits of each value, most significant first: one row for each value."""
    found = []
    while rest.any():
        above = rest // _BASE
        found.append((rest - above * _BASE).astype(np.int16))
        rest = above
    return _rows(found, len(rest))


def _digits_of_limbs(limbs: Limbs) -> npt.NDArray[np.int16]:
    found = []
    while any(limb.any() for limb in limbs):
        found.append(_divided(limbs).astype(np.int16))
    return _rows(found, len(limbs[0]))


def _rows(found: list[npt.NDArray[np.int16]], rows: int) -> npt.NDArray[np.int16]:
    return np.stack(found[::-1], axis=1) if found else np.zeros((rows, 0), np.int16)


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


def _hash_digits(digits: npt.NDArray[np.int16], after: int, seed: int) -> Hashes:
    rows, width = digits.shape
    some = digits != 0
    zero = ~some.any(axis=1) if width else np.ones(rows, bool)
    if not width or zero.all():
        return np.full(rows, (seed - 1) % 2**64, np.uint64)
    first = some.argmax(axis=1)
    lengths = width - some[:, ::-1].argmax(axis=1) - first
    room = (2 * width // _PADDING + 1) * _PADDING // 2
    places = first[:, None] + np.arange(room)
    inside = np.arange(room) < lengths[:, None]
    packed = np.take_along_axis(digits, np.minimum(places, width - 1), axis=1)
    packed = np.ascontiguousarray(np.where(inside, packed, np.int16(0)))
    hashes = hash_padded(packed.view(np.uint32), lengths.astype(np.int64) * 2, seed)
    weights = (width - after - 1 - first).astype(np.int64)
    hashes ^= weights.view(np.uint64)
    hashes[zero] = (seed - 1) % 2**64
    return hashes
