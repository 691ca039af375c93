"""Decimal strings as decimal(38, 12), exactly: what the macro `exact_decimal` does in SQL.

A loop takes plain decimals of up to 18 digits before the point and 12 after it, which is all that
venues send. The few others are looked at one by one, by the rules of the macro.
"""

import re
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.fills.columns import known, texts
from ticklake.microstructure.compiled import compiled

SCALE: Final = 12
LIMIT: Final = 10**38
"""decimal(38, 12) holds whole numbers of 10^-12 below this."""
WORD: Final = (1 << 64) - 1

_PLAIN: Final = re.compile(r"(-?)([0-9]+)(?:[.]([0-9]{0,12})0*)?")
_SHORT: Final = re.compile(
    r"[ \t\n\v\f\r]*([-+]?)([0-9]+(?:_[0-9]+)*)?[.]([0-9]+(?:_[0-9]+)*)?[ \t\n\v\f\r]*"
)
"""What DuckDB casts to a decimal, where it has a digit."""
_SHORT_WHOLE: Final = 10
_SHORT_FRACTION: Final = 8

Words = npt.NDArray[np.uint64]


def exact_decimals(text: pa.StringArray, where: str) -> Words:
    """Return text as whole numbers of 10^-12, in (n, 2) words of 64 bits, the lower one first.

    A null is any number. Raises ValueError, which says `where`, for a value that is no plain
    decimal or needs more than 26 digits before the point or 12 after it.
    """
    data, offsets = texts(text)
    are_known = known(text)
    if are_known is None:
        are_known = np.ones(len(text), np.bool_)
    words = np.zeros((len(text), 2), np.uint64)
    row = _parse(data, offsets, are_known, 0, words)
    while row < len(text):
        number = _number(text[row].as_py(), where)
        words[row] = number & WORD, number >> 64 & WORD
        row = _parse(data, offsets, are_known, row + 1, words)
    return words


def _number(text: str, where: str) -> int:
    """Return any text as a whole number of 10^-12."""
    point = text.find(".")
    is_short = 1 <= point <= _SHORT_WHOLE and len(text) - point - 1 <= _SHORT_FRACTION
    found = _SHORT.fullmatch(text) if is_short else _PLAIN.fullmatch(text)
    if found:
        sign, whole, fraction = (part.replace("_", "") for part in found.groups(""))
        number = int(whole + fraction.ljust(SCALE, "0")) if whole + fraction else LIMIT
        if number < LIMIT:
            return -number if sign == "-" else number
    raise ValueError(
        f"{text!r} in {where}: a plain decimal with at most 26 digits before the point and "
        f"{SCALE} after it? Nothing is rounded. Correct the segment, or move it away."
    )


_POWERS = np.array([10**power for power in range(SCALE + 1)], np.uint64)


@compiled
def _parse(
    data: npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.int32],
    are_known: npt.NDArray[np.bool_],
    begin: int,
    words: Words,
) -> int:
    """Convert from a row on; return the first row that is left to `_number`, or how many there are.

    The product with 10^12 is built from halves of 32 bits, as there are no integers of 128 bits.
    """
    ten, zero = np.uint64(10), np.uint64(0)
    scale, half, shift = np.uint64(10**12), np.uint64(0xFFFFFFFF), np.uint64(32)
    for row in range(begin, len(are_known)):
        if not are_known[row]:
            continue
        place, end = offsets[row], offsets[row + 1]
        is_negative = place < end and data[place] == 45
        if is_negative:
            place += 1
        first = place
        whole = zero
        while place < end and 48 <= data[place] <= 57:
            whole = whole * ten + np.uint64(data[place] - 48)
            place += 1
        whole_digits = place - first
        fraction = zero
        digits = 0
        if place < end and data[place] == 46:
            place += 1
            first = place
            while place < end and 48 <= data[place] <= 57:
                fraction = fraction * ten + np.uint64(data[place] - 48)
                place += 1
            digits = place - first
        if place < end or whole_digits == 0 or whole_digits > 18 or digits > 12:
            return row
        low = (whole & half) * (scale & half)
        middle = (low >> shift) + (whole & half) * (scale >> shift)
        other = (middle & half) + (whole >> shift) * (scale & half)
        high = (whole >> shift) * (scale >> shift) + (middle >> shift) + (other >> shift)
        low = (low & half) | (other << shift)
        rest = fraction * _POWERS[12 - digits]
        low += rest
        if low < rest:
            high += np.uint64(1)
        if is_negative:
            low = ~low + np.uint64(1)
            high = ~high
            if low == zero:
                high += np.uint64(1)
        words[row, 0] = low
        words[row, 1] = high
    return len(are_known)
