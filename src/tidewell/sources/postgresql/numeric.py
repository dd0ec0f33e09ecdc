"""PostgreSQL's numeric in binary, to Arrow's exact decimals.

A value is four numbers of 16 bits (count of digits, weight, sign, scale), then that many digits to
the base of 10,000, the first of which stands for digit x 10000^weight (numeric_send in PostgreSQL's
source, src/backend/utils/adt/numeric.c).
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tidewell.errors import SourceBroken
from tidewell.sources.fields import Fields
from tidewell.sources.postgresql.copy import Decoder

_NEGATIVE = 0x4000
_SPECIAL = 0xC000
"""NaN is 0xC000, infinity 0xD000, -infinity 0xF000."""
_SAFE_DIGITS = 18
"""Decimal digits that 64 bits hold for certain."""
_FEW_GROUPS = 4
"""Groups of digits that 64 bits hold for certain."""
_POWERS: Any = np.array([10**n for n in range(_SAFE_DIGITS + 1)], np.int64)


def decimal(precision: int, scale: int) -> Decoder:
    """Values of numeric(precision, scale). Raises SourceBroken for NaN and infinity."""
    kind = pa.decimal128(precision, scale)
    groups_after = -(-scale // 4)
    groups_before = -(-(precision - scale) // 4)
    surplus = groups_after * 4 - scale
    """Zeros that the last group of digits has beyond the scale."""

    def decode(fields: Fields) -> pa.Array:
        count = fields.gather(">i2").astype(np.int64)
        weight = fields.gather(">i2", 2).astype(np.int64)
        sign = fields.gather(">u2", 4)
        if sign.size and (sign >= _SPECIAL).any():
            raise SourceBroken(
                f"The column {fields.name} holds NaN or infinity, which no exact number of another "
                "system has: leave the column out, or read a view that replaces it (NULLIF)."
            )
        if count.size and count.max() <= _FEW_GROUPS and precision <= _SAFE_DIGITS:
            return _few(fields, count, weight, sign == _NEGATIVE, kind)
        groups = [
            _group(fields, count, weight, position)
            for position in range(groups_before - 1, -groups_after - 1, -1)
        ]
        negative = sign == _NEGATIVE
        return _joined(fields, groups, negative, surplus, kind)

    return Decoder(decode)


def _few(fields: Fields, count: Any, weight: Any, negative: Any, kind: pa.DataType) -> pa.Array:
    """Values of few groups: all that there are, then as many zeros as are missing or too many."""
    view: Any = np.ndarray((len(fields.data) - 1,), dtype=">i2", buffer=fields.data, strides=(1,))
    value = np.zeros(len(count), np.int64)
    most = int(count.max())
    least = int(count.min())
    for index in range(most):
        found = view[np.minimum(fields.starts + (8 + 2 * index), len(view) - 1)].astype(np.int64)
        if index < least:
            value = value * 10_000 + found
        else:
            value = np.where(index < count, value * 10_000 + found, value)
    zeros = 4 * (weight + 1 - count) + kind.scale
    value *= _POWERS[np.clip(zeros, 0, _SAFE_DIGITS)]
    if zeros.min() < 0:
        value //= _POWERS[np.clip(-zeros, 0, _SAFE_DIGITS)]
    np.negative(value, out=value, where=negative)
    return _of_64_bits(fields, value, kind)


def _of_64_bits(fields: Fields, value: Any, kind: pa.DataType) -> pa.Array:
    words = np.empty((len(value), 2), np.int64)
    words[:, 0] = value
    words[:, 1] = value >> 63
    return fields.array(words, kind)


def _group(fields: Fields, count: Any, weight: Any, position: int) -> Any:
    """The digits (base 10,000) that stand for 10000^position, zero where a value has none."""
    index = weight - position
    outside = (index < 0) | (index >= count)
    at = np.where(outside, 0, 8 + 2 * index)
    view: Any = np.ndarray((len(fields.data) - 1,), dtype=">i2", buffer=fields.data, strides=(1,))
    found = view[fields.starts + at].astype(np.int64)
    found[outside] = 0
    return found


def _joined(
    fields: Fields, groups: list[Any], negative: Any, surplus: int, kind: pa.DataType
) -> pa.Array:
    """The number that all groups make, without the surplus zeros at its end."""
    parts = []
    for start in range(len(groups) % 4 - 4 if len(groups) % 4 else 0, len(groups), 4):
        part = np.zeros(len(negative), np.int64)
        for group in groups[max(start, 0) : start + 4]:
            part = part * 10_000 + group
        parts.append(part)
    if kind.precision <= _SAFE_DIGITS:
        # At most two parts: what is above 64 bits is zero, the surplus is taken off first.
        low, high = parts[-1] // 10**surplus, parts[-2] if len(parts) > 1 else None
        value = low if high is None else high * 10 ** (16 - surplus) + low
        np.negative(value, out=value, where=negative)
        return _of_64_bits(fields, value, kind)
    # At most three parts of 16 digits: 57 digits, of the 76 that Arrow has.
    base = pa.scalar(10**16, pa.decimal256(17, 0))
    terms = []
    for part in parts:
        np.negative(part, out=part, where=negative)
        terms.append(pa.array(part, mask=fields.nulls).cast(pa.decimal256(19, 0)))
    total = terms[0]
    for term in terms[1:]:
        total = pc.add(pc.multiply(total, base), term)
    scaled = pa.Array.from_buffers(
        pa.decimal256(76, kind.scale + surplus), len(total), total.buffers()
    )
    return scaled.cast(kind)
