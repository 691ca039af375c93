"""Exact arithmetic on decimal columns: whole numbers of a power of ten.

Sums and thresholds are decided on these, so that ten trades of 0.1 fill a bucket of 1.0. A column
whose sums could leave 64 bits becomes Python integers in an object array: slower, and as exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Integers = npt.NDArray[Any]
"""int64, or Python integers in an object array."""

LIMIT: Final = 1 << 62
STORED: Final = pa.decimal128(38, 12)
_WIDE: Final = Context(prec=100)  # the usual 28 digits would round


@dataclass(frozen=True, slots=True)
class Scaled:
    """Numbers as whole multiples of `10 ** -decimals`."""

    values: Integers
    decimals: int

    def of(self, number: Decimal) -> int:
        """Return a number in these units. Raises ValueError where it is no whole multiple."""
        scaled = number.scaleb(self.decimals, _WIDE)
        if scaled != scaled.to_integral_value():
            raise ValueError(f"{number} is no whole multiple of 1e-{self.decimals}")
        return int(scaled)

    def as_floats(self, values: Integers) -> npt.NDArray[np.float64]:
        """Return whole numbers in these units, such as sums of them, as floats.

        Each is the float nearest to the number, up to 2 ** 53 units: that is what DuckDB's cast
        gives, and Arrow's does not always.
        """
        floats: npt.NDArray[np.float64] = values.astype(np.float64) / 10.0**self.decimals
        return floats

    def to(self, decimals: int) -> "Scaled":
        """Return the same numbers in smaller units."""
        return scaled_up(self.values, self.decimals, decimals)


def scaled(column: pa.ChunkedArray | pa.Array, at_least: int = 0) -> Scaled:
    """Return a decimal128 column without nulls in the largest units that hold it exactly.

    `at_least` is a number of decimals that the units must have, for a threshold to fit in.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if column.null_count:
        raise ValueError("a price or size is null: there is no exact sum")
    scale = column.type.scale
    words = np.frombuffer(column.buffers()[1], np.int64)
    low = words[0::2][column.offset : column.offset + len(column)]
    high = words[1::2][column.offset : column.offset + len(column)]
    if not np.array_equal(high, low >> 63):
        return _beyond_64_bits(column, at_least)
    spare = 0
    step = np.gcd.reduce(low) if len(low) else 0
    while spare < scale - at_least and step and step % 10 ** (spare + 1) == 0:
        spare += 1
    if not step:
        spare = scale - at_least
    return Scaled(low // 10**spare, scale - spare)


def decimals_of(number: Decimal) -> int:
    """Return how many digits after the point a number needs."""
    return max(0, -int(number.normalize(_WIDE).as_tuple().exponent))


def rounded_up(number: Decimal, decimals: int) -> int:
    """Return the fewest whole multiples of `10 ** -decimals` that reach a number."""
    return int(number.scaleb(decimals, _WIDE).to_integral_value(ROUND_CEILING, _WIDE))


def joined(parts: Sequence[Scaled]) -> Scaled:
    """Return numbers that follow each other as one, in units that hold all of them."""
    decimals = max((part.decimals for part in parts), default=0)
    values = [part.to(decimals).values for part in parts]
    return Scaled(np.concatenate(values) if values else np.zeros(0, np.int64), decimals)


def scaled_up(values: Integers, decimals: int, wanted: int) -> Scaled:
    """Return numbers in units of `10 ** -wanted`, of 64 bits where they fit."""
    if wanted < decimals:
        raise ValueError(f"units of 1e-{wanted} are larger than those of 1e-{decimals}")
    if wanted == decimals:
        return Scaled(values, decimals)
    factor = 10 ** (wanted - decimals)
    return Scaled(fitting(values, factor) * factor, wanted)


def fitting(values: Integers, factor: int = 1) -> Integers:
    """Return numbers so that their sum times `factor` cannot overflow: int64 or Python integers."""
    if values.dtype == object or largest(values) * len(values) * factor < LIMIT:
        return values
    # As floats the sum is off by far less than the margin between LIMIT and what overflows.
    total = float(np.abs(values.astype(np.float64)).sum()) * factor
    return values if total < LIMIT else values.astype(object)


def largest(values: Integers) -> int:
    """Return the largest absolute value, 0 where there is none."""
    return max(int(values.max()), -int(values.min())) if len(values) else 0


def to_decimal(values: Integers, decimals: int, kind: pa.Decimal128Type = STORED) -> pa.Array:
    """Return whole numbers of `10 ** -decimals` as a decimal column, exactly."""
    if values.dtype == object:
        numbers = [Decimal(int(value)).scaleb(-decimals, _WIDE) for value in values]
        return pa.array(numbers, kind)
    words = np.empty(2 * len(values), np.int64)
    words[0::2] = values
    words[1::2] = values >> 63
    held = pa.Array.from_buffers(
        pa.decimal128(38, decimals), len(values), [None, pa.py_buffer(words)]
    )
    return pc.cast(held, kind)


def _beyond_64_bits(column: pa.Array, at_least: int) -> Scaled:
    """Return numbers too large for 64 bits with all their decimals: fewer may do, and then fit."""
    for decimals in range(at_least, column.type.scale):
        try:
            narrow = pc.cast(column, pa.decimal128(38, decimals))
        except pa.ArrowInvalid:  # some number needs more decimals
            continue
        return scaled(narrow, at_least)
    scale = column.type.scale
    wide = [int(item.scaleb(scale, _WIDE)) for item in column.to_pylist()]
    return Scaled(np.array(wide, object), scale)
