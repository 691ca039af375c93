"""What a row of a raw channel must satisfy, so that the models can use it.

Landing and the build apply the same rules: landing to every row that a parser returns, the build to
the segments of other collectors. The rules ask for what our arithmetic needs and for nothing else:
what an exchange says may be odd (a negative quote, a mark price of 0, a candle whose high is below
its low). Levels of a book may come in any order, and those that are null, not finite or not
positive may be there: `order_book` puts levels in order and leaves these out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.lake.paths import unusable

Flags = npt.NDArray[np.bool_]

VALUE_LIMIT: Final = 1e26
"""Prices and sizes are below this: decimal(38, 12) has 26 digits before the point."""
NOTIONAL_LIMIT: Final = 1e14
"""Price times size of a row is below this, so that `exact_notional` can hold it."""
LAST_ID: Final = (1 << 63) - 2
"""The largest first or last id, so that the id after it is an integer of 64 bits too."""
MATCH_LIMIT: Final = 1 << 32
"""An aggregated trade has fewer matches than this, so that a day of them can be added up."""
_DECIMAL: Final = r"^-?[0-9]{1,26}(\.[0-9]{1,12}0*)?$"
"""Text that fits decimal(38, 12) to the last digit."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row cannot be used."""

    row: int
    """Its position in the table, from 0."""
    error_type: str
    message: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One condition on the rows of a channel."""

    columns: tuple[str, ...]
    """What it looks at. A rule on a column that a table lacks takes it to be null."""
    error_type: str
    message: str
    """What is wrong with a row that breaks it."""
    breaks: Callable[..., Flags | None]
    """Takes these columns as arrays and returns which rows break the rule, None for none."""


def find_faults(
    channel: str, rows: pa.Table, partition: Mapping[str, str] | None = None
) -> list[Fault]:
    """Return the first fault of each row that breaks a rule of its channel, in order of the rows.

    `rows` has columns of the channel in their declared types. With `partition`, the values of the
    folder that the rows were found in, their times must lie in its date or month. A channel without
    rules has no faults.
    """
    faults: dict[int, Fault] = {}
    for rule in _rules(channel, partition):
        arrays = [_column(rows, name) for name in rule.columns]
        breaks = rule.breaks(*arrays)
        if breaks is None or not breaks.any():
            continue
        for row in np.flatnonzero(breaks).tolist():
            if row not in faults:
                said = ", ".join(
                    _said(*each, row) for each in zip(rule.columns, arrays, strict=True)
                )
                faults[row] = Fault(row, rule.error_type, f"{rule.message} ({said})")
    return [faults[row] for row in sorted(faults)]


def has_rules(channel: str) -> bool:
    """Say whether there are rules on a channel."""
    return channel in _RULES


def columns_of(channel: str) -> list[str]:
    """Return the columns that the rules of a channel look at."""
    return list(dict.fromkeys(name for rule in _rules(channel, None) for name in rule.columns))


def _rules(channel: str, partition: Mapping[str, str] | None) -> Iterator[Rule]:
    yield from _RULES.get(channel, ())
    time_column = "open_time" if channel == "klines" else "ts_event"
    for unit, name in (("D", "date"), ("M", "month")):
        if partition and name in partition and channel in _RULES:
            yield Rule(
                (time_column,),
                "WRONG_PARTITION",
                f"{time_column} is not in the {name} of the partition, {partition[name]}",
                _outside(unit, partition[name]),
            )


def _column(rows: pa.Table, name: str) -> pa.Array:
    if name not in rows.column_names:
        return pa.nulls(rows.num_rows)
    column = rows[name].combine_chunks()
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _said(name: str, array: pa.Array, row: int) -> str:
    value = array[row].as_py()
    text = "null" if value is None else str(value)
    return f"{name} = {text if len(text) <= 80 else f'{text[:77]}...'}"


def _flags(array: pa.Array) -> Flags:
    found: Flags = array.fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _is_null(array: pa.Array) -> Flags | None:
    return _flags(array.is_null()) if array.null_count else None


def _is_empty(array: pa.Array) -> Flags | None:
    return _flags(pc.equal(array, "")) if pa.types.is_string(array.type) else None


def _is_no_name(array: pa.Array) -> Flags | None:
    """Return where a name is null or empty. A table may lack it, if who reads the rows knows it."""
    if pa.types.is_null(array.type):
        return None
    return _flags(pc.or_(array.is_null(), pc.equal(array, "").fill_null(False)))


def _cannot_be_a_folder(array: pa.Array) -> Flags | None:
    """Return where a value, such as a coin, could not be the value of a partition column."""
    if pa.types.is_null(array.type):
        return None
    texts = array.cast(pa.string())
    bad = [text for text in texts.unique().drop_null().to_pylist() if unusable(text)]
    return _flags(pc.is_in(texts, pa.array(bad, pa.string()))) if bad else None


def _is_negative(array: pa.Array) -> Flags | None:
    if pa.types.is_null(array.type):
        return None
    if pa.types.is_string(array.type):
        return _flags(pc.match_substring_regex(array, r"^-[0.]*[1-9]"))
    zero = pa.scalar(0, array.type)
    return _flags(pc.less(array, zero)) if pc.less(pc.min(array), zero).as_py() else None


def _is_infinite(array: pa.Array) -> Flags | None:
    return None if pa.types.is_null(array.type) else _flags(pc.is_inf(array))


def _is_none_of(*words: str) -> Callable[[pa.Array], Flags]:
    def breaks(array: pa.Array) -> Flags:
        known = pa.array([*words], pa.string())
        return _flags(
            pc.and_(array.is_valid(), pc.invert(pc.is_in(array.cast(pa.string()), known)))
        )

    return breaks


def _is_no_decimal(array: pa.Array) -> Flags | None:
    if not pa.types.is_string(array.type):
        return None
    return _flags(pc.invert(pc.match_substring_regex(array, _DECIMAL)))


def _is_too_large(price: pa.Array, size: pa.Array) -> Flags | None:
    """Return where price times size cannot be held. What is no number breaks another rule."""
    if not pa.types.is_string(price.type):  # almost always the largest of each are not too large
        most = pc.max(price).as_py(), pc.max(size).as_py()
        if None in most or float(most[0]) * float(most[1]) < NOTIONAL_LIMIT:
            return None
    return _flags(
        pc.greater_equal(pc.multiply(_doubles(price), _doubles(size)), pa.scalar(NOTIONAL_LIMIT))
    )


def _doubles(array: pa.Array) -> pa.Array:
    try:
        return array.cast(pa.float64())
    except pa.ArrowInvalid:
        is_number = pc.match_substring_regex(array, _DECIMAL)
        return pc.if_else(is_number, array, None).cast(pa.float64())


def _is_no_range(first: pa.Array, last: pa.Array) -> Flags | None:
    """Return where two ids do not say from where to where a trade was put together."""
    if first.null_count == len(first) and last.null_count == len(last):
        return None
    low, high = first.cast(pa.int64()), last.cast(pa.int64())
    one = _flags(pc.not_equal(low.is_null(), high.is_null()))
    outside = _flags(pc.or_(pc.less(low, -1), pc.greater(high, LAST_ID)))
    # Where `outside` holds the difference may wrap around, which does not matter.
    count = pc.subtract(high, low)
    wrong = _flags(pc.or_(pc.less(high, low), pc.greater_equal(count, MATCH_LIMIT)))
    return one | outside | wrong


def _ends_too_early(start: pa.Array, end: pa.Array) -> Flags | None:
    if end.null_count == len(end):
        return None
    return _flags(pc.less_equal(end, start))


def _has_huge_level(levels: pa.Array) -> Flags | None:
    """Return where a price or size of a book is finite and so large that sums of it may not be."""
    if levels.null_count == len(levels):
        return None
    flat = pc.list_flatten(levels)
    bad = np.zeros(len(flat), np.bool_)
    for place in range(flat.type.num_fields):
        if flat.type.field(place).name.lower() in ("price", "size"):
            numbers = pc.struct_field(flat, [place]).cast(pa.float64())
            values = numbers.fill_null(0).to_numpy(zero_copy_only=False)
            bad |= (values >= VALUE_LIMIT) & (values != np.inf)
    if not bad.any():
        return None
    found = np.zeros(len(levels), np.bool_)
    found[pc.list_parent_indices(levels).to_numpy()[bad]] = True
    return found


def _outside(unit: str, value: str) -> Callable[[pa.Array], Flags]:
    """Return what finds times that are not in a day or month; null times break another rule."""

    def breaks(times: pa.Array) -> Flags:
        micros = times.cast(pa.timestamp("us", times.type.tz), safe=False).cast(pa.int64())
        periods = (
            micros.fill_null(0).to_numpy().view("datetime64[us]").astype(f"datetime64[{unit}]")
        )
        is_outside: Flags = periods.astype(str) != value
        return is_outside & _flags(times.is_valid())

    return breaks


def _needed(*names: str) -> list[Rule]:
    return [Rule((name,), "MISSING_FIELD", f"{name} is missing", _is_null) for name in names]


def _not_negative(kind: str, *names: str) -> list[Rule]:
    return [Rule((name,), kind, f"{name} is negative", _is_negative) for name in names]


def _finite(*names: str) -> list[Rule]:
    return [Rule((name,), "BAD_NUMBER", f"{name} is not finite", _is_infinite) for name in names]


def _decimals(*names: str) -> list[Rule]:
    text = "is not a plain decimal that fits decimal(38, 12)"
    return [Rule((name,), "BAD_DECIMAL", f"{name} {text}", _is_no_decimal) for name in names]


def _notional(price: str, size: str) -> Rule:
    return Rule(
        (price, size),
        "BAD_NOTIONAL",
        f"{price} times {size} is {NOTIONAL_LIMIT:.0e} or more",
        _is_too_large,
    )


_FILL_DECIMALS: Final = (
    *("px", "sz", "startPosition", "closedPnl", "fee"),
    *("builderFee", "deployerFee", "priorityGas"),
)

_RULES: Final[Mapping[str, Sequence[Rule]]] = {
    "fills": [
        *_needed("ts_event", "user", "coin", "px", "sz", "side", "crossed", "tid", "oid"),
        Rule(("coin",), "BAD_VALUE", "coin is empty", _is_empty),
        Rule(("coin",), "BAD_NAME", "coin cannot be the name of a folder", _cannot_be_a_folder),
        Rule(("side",), "BAD_VALUE", "side is neither A nor B", _is_none_of("A", "B")),
        *_decimals(*_FILL_DECIMALS),
        *_not_negative("BAD_DECIMAL", "px", "sz"),
        _notional("px", "sz"),
    ],
    "trades": [
        *_needed("ts_event", "price", "size"),
        *_decimals("price", "size"),
        *_not_negative("BAD_DECIMAL", "price", "size"),
        Rule(("side",), "BAD_SIDE", "side is neither buy nor sell", _is_none_of("buy", "sell")),
        Rule(
            ("first_id", "last_id"),
            "BAD_INTEGER",
            "first_id and last_id are not a range of ids",
            _is_no_range,
        ),
        _notional("price", "size"),
    ],
    "order_book": [
        *_needed("ts_event"),
        *(
            Rule((side,), "BAD_LEVEL", f"a level of {side} is 1e26 or more", _has_huge_level)
            for side in ("bids", "asks")
        ),
    ],
    "tickers": [
        *_needed("ts_event"),
        *_not_negative("BAD_NUMBER", "bid_size", "ask_size"),
        *_finite("bid_price", "bid_size", "ask_price", "ask_size", "last_price"),
    ],
    "mark_prices": [
        Rule(("symbol",), "MISSING_FIELD", "symbol is missing", _is_no_name),
        *_needed("ts_event"),
        *_finite("mark_price", "index_price"),
    ],
    "funding_rates": [
        Rule(("symbol",), "MISSING_FIELD", "symbol is missing", _is_no_name),
        *_needed("ts_event"),
        *_finite("funding_rate", "interval_hours"),
    ],
    "klines": [
        *_needed("open_time", "open", "high", "low", "close", "volume"),
        *_decimals("open", "high", "low", "close", "volume"),
        *_decimals("quote_volume", "taker_buy_volume", "taker_buy_quote_volume"),
        *_not_negative("BAD_DECIMAL", "open", "high", "low", "close", "volume"),
        Rule(
            ("open_time", "close_time"),
            "BAD_TIME",
            "close_time is not after open_time",
            _ends_too_early,
        ),
    ],
}
