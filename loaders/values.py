"""From text and other Arrow values to the types of the channels, value by value.

Each function takes a column and returns one of the wanted type with the flags of what it could not
use; what is missing stays null. Text is read as a whole column where it is plain, and otherwise one
distinct value at a time: both give the same, and no value depends on its neighbours.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_FLOOR, Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loaders.channels import DECIMAL, TIME

Flags = npt.NDArray[np.bool_]

MISSING: Final = frozenset(("", "null", "none", "nan", "na", "n/a"))
"""Texts, in any case, that stand for no value."""

FIRST_SECOND: Final = 315_532_800
"""1980-01-01: no time before it is believed. It tells seconds from YYYYMMDD."""
END_SECOND: Final = 4_102_444_800
"""2100-01-01, the first time that is not believed. It tells YYYYMMDDhhmmss from milliseconds."""

SIDES: Final = {
    **dict.fromkeys(("buy", "b", "buyer", "bid"), "buy"),
    **dict.fromkeys(("sell", "s", "seller", "ask", "a"), "sell"),
    "unknown": None,
}
"""What a side column says of the aggressor, in lower case."""

_FLAGS: Final = {
    **dict.fromkeys(("true", "t", "1", "yes", "y"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n"), False),
}
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER: Final = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_INT64: Final = range(-(1 << 63), 1 << 63)
_EXACT: Final = Context(prec=38, traps=[InvalidOperation, Inexact])
_WHOLE_DIGITS: Final = 26  # of decimal(38, 12)
_UNIT: Final = Decimal(1).scaleb(-12)
# How many of a unit are a second: s, ms, us, ns.
_SCALES: Final = (1, 1_000, 1_000_000, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Values:
    """A converted column, null where a value is missing or bad."""

    array: pa.Array
    bad: Flags | None = None
    """Which values could not be used; None where all could."""


def instants(values: pa.Array, form: str | None = None) -> Values:
    """Return times in microseconds, UTC.

    Text is ISO 8601, without a zone UTC, or a number of s, ms, us or ns since the epoch, which its
    magnitude tells; or it is of the `strptime` format `form`. What is finer is cut off.
    """
    values = _plain(values)
    kind = values.type
    if form is not None:
        return _each(_texts(values), pa.int64(), lambda text: _formatted(text, form), TIME)
    if pa.types.is_timestamp(kind):
        return _believed(_floored(values))
    if pa.types.is_date(kind):
        return _believed(values.cast(pa.timestamp("us")).cast(pa.int64()))
    if pa.types.is_floating(kind):
        return _from_doubles(values)
    if not (pa.types.is_string(kind) or pa.types.is_decimal(kind)):
        try:
            return _by_magnitude(values.cast(pa.int64()))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _all_bad(values, TIME)
    texts = _texts(values)
    if _consists_of(texts, b"-0123456789"):
        try:
            return _by_magnitude(texts.cast(pa.int64()))
        except pa.ArrowInvalid:  # dates, for example
            pass
    if _consists_of(texts, b"-+:.TZ 0123456789"):
        for zoned in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
            try:
                return _believed(_floored(texts.cast(zoned)))
            except pa.ArrowInvalid:
                continue
    return _each(texts, pa.int64(), _instant, TIME)


def decimals(values: pa.Array) -> Values:
    """Return exact decimals; what does not fit decimal(38, 12) to the last digit is bad.

    A float stands for the shortest decimal that reads as that float.
    """
    values = _plain(values)
    if pa.types.is_integer(values.type):
        return Values(values.cast(DECIMAL))
    texts = _texts(values)
    # Arrow does not notice every number of too many digits.
    if (pc.max(pc.binary_length(texts)).as_py() or 0) > _WHOLE_DIGITS:
        return _each(texts, DECIMAL, _decimal)
    return _numbers(texts, DECIMAL, b"-.0123456789", _decimal)


def doubles(values: pa.Array) -> Values:
    """Return doubles. NaN is missing, infinity is bad."""
    values = _plain(values)
    if not pa.types.is_string(values.type):
        try:
            array = values.cast(pa.float64(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _all_bad(values, pa.float64())
        array = pc.if_else(pc.is_nan(array), None, array)
        return _finite(array)
    found = _numbers(values, pa.float64(), b"-.0123456789", _double)
    return found if found.bad is not None else _finite(found.array)


def integers(values: pa.Array) -> Values:
    """Return 64-bit integers; a fraction of nothing but zeros is none."""
    values = _plain(values)
    if pa.types.is_integer(values.type):
        try:
            return Values(values.cast(pa.int64()))
        except pa.ArrowInvalid:
            pass
    return _numbers(_texts(values), pa.int64(), b"-0123456789", _integer)


def flags(values: pa.Array) -> Values:
    """Return booleans: true or false, t or f, yes or no, 1 or 0, in any case."""
    values = _plain(values)
    if pa.types.is_boolean(values.type):
        return Values(values)
    return _each(_texts(values), pa.bool_(), lambda text: _FLAGS[text.lower()])


def sides(values: pa.Array, words: Mapping[str, str | None] = SIDES) -> Values:
    """Return buy and sell. `words` are in lower case."""
    return _each(_texts(_plain(values)), pa.string(), lambda text: words[text.lower()])


def strings(values: pa.Array) -> Values:
    """Return text as it is; empty text is missing."""
    values = _texts(_plain(values))
    empty = pc.equal(values, "")
    return Values(pc.if_else(empty, None, values) if pc.any(empty).as_py() else values)


def _plain(values: pa.Array) -> pa.Array:
    """Return an array without a dictionary, and all kinds of text as one."""
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    kind = values.type
    if pa.types.is_null(kind):
        return values.cast(pa.string())
    if pa.types.is_large_string(kind) or kind == pa.string_view():
        return values.cast(pa.string())
    return values


def _texts(values: pa.Array) -> pa.Array:
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array([None if item is None else str(item) for item in values.to_pylist()])


def _consists_of(texts: pa.Array, allowed: bytes) -> bool:
    """Return whether a column has no other characters than these."""
    if not len(texts):
        return True
    _, offsets, data = texts.buffers()
    places = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4)
    begin, end = int(places[0]), int(places[-1])
    if data is None or begin == end:
        return True
    known = np.zeros(256, bool)
    known[np.frombuffer(allowed, np.uint8)] = True
    return bool(known[np.frombuffer(data, np.uint8, end - begin, begin)].all())


def _numbers(
    texts: pa.Array, kind: pa.DataType, allowed: bytes, exact: Callable[[str], Any]
) -> Values:
    if _consists_of(texts, allowed):
        try:
            return Values(texts.cast(kind))
        except pa.ArrowInvalid:
            pass
    return _each(texts, kind, exact)


def _each(
    texts: pa.Array,
    kind: pa.DataType,
    exact: Callable[[str], Any],
    final: pa.DataType | None = None,
) -> Values:
    """Convert each distinct text. `exact` raises LookupError, ValueError or ArithmeticError."""
    encoded = texts.dictionary_encode()
    found, faults = [], []
    for text in encoded.dictionary.to_pylist():
        text = text.strip()
        is_bad, value = False, None
        if text.lower() not in MISSING:
            try:
                value = exact(text)
            except (LookupError, ValueError, ArithmeticError):
                is_bad = True
        found.append(value)
        faults.append(is_bad)
    array = pa.array(found, kind).take(encoded.indices)
    array = array if final is None else array.cast(final)
    if not any(faults):
        return Values(array)
    places = encoded.indices.fill_null(len(faults)).to_numpy(zero_copy_only=False)
    return Values(array, np.array([*faults, False])[places])


def _all_bad(values: pa.Array, kind: pa.DataType) -> Values:
    present = values.is_valid().to_numpy(zero_copy_only=False)
    return Values(pa.nulls(len(values), kind), present)


def _finite(array: pa.Array) -> Values:
    bad = np.isinf(array.to_numpy(zero_copy_only=False))
    if not bad.any():
        return Values(array)
    return Values(pc.if_else(pa.array(bad), None, array), bad)


def _floored(stamps: pa.Array) -> pa.Array:
    """Return timestamps of any unit as integer microseconds."""
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[stamps.type.unit]
    ticks = stamps.cast(pa.int64())
    if per_second <= 10**6:
        return pc.multiply(ticks, 10**6 // per_second)
    known = ticks.fill_null(0).to_numpy(zero_copy_only=False)
    return pa.array(known // 1000, mask=ticks.is_null().to_numpy(zero_copy_only=False))


def _believed(micros: pa.Array) -> Values:
    known = micros.fill_null(FIRST_SECOND * 10**6).to_numpy(zero_copy_only=False)
    bad = (known < FIRST_SECOND * 10**6) | (known >= END_SECOND * 10**6)
    if not bad.any():
        return Values(micros.cast(TIME))
    return Values(pc.if_else(pa.array(bad), None, micros).cast(TIME), bad)


def _by_magnitude(numbers: pa.Array) -> Values:
    missing = numbers.is_null().to_numpy(zero_copy_only=False)
    known = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    micros = np.zeros(len(known), np.int64)
    bad = ~missing
    for scale in _SCALES:
        fits = (known >= FIRST_SECOND * scale) & (known < END_SECOND * scale)
        step = 10**6 // scale
        micros[fits] = known[fits] * step if step else known[fits] // (scale // 10**6)
        bad &= ~fits
    array = pa.array(micros, mask=missing | bad).cast(TIME)
    return Values(array, bad if bad.any() else None)


def _from_doubles(values: pa.Array) -> Values:
    known = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    missing = np.isnan(known)
    micros = np.zeros(len(known), np.int64)
    bad = ~missing
    for scale in _SCALES:
        fits = (known >= FIRST_SECOND * scale) & (known < END_SECOND * scale)
        micros[fits] = np.rint(known[fits] * (10**6 / scale)).astype(np.int64)
        bad &= ~fits
    array = pa.array(micros, mask=missing | bad).cast(TIME)
    return Values(array, bad if bad.any() else None)


def _instant(text: str) -> int:
    """Return the microseconds since the epoch of a time."""
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        for scale in _SCALES:
            if FIRST_SECOND * scale <= number < END_SECOND * scale:
                micros = number * 10**6 / scale
                return int(micros.to_integral_value(ROUND_FLOOR))
        raise ValueError("out of range")
    if text.upper().endswith("UTC"):
        text = text[:-3].rstrip() + "Z"
    return _micros(datetime.fromisoformat(text))


def _formatted(text: str, form: str) -> int:
    return _micros(datetime.strptime(text, form))


def _micros(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime.fromtimestamp(0, UTC)
    seconds = since.days * 86_400 + since.seconds
    if not FIRST_SECOND <= seconds < END_SECOND:
        raise ValueError("out of range")
    return seconds * 10**6 + since.microseconds


def _decimal(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("no number")
    return Decimal(text).quantize(_UNIT, context=_EXACT)


def _double(text: str) -> float:
    if not _NUMBER.fullmatch(text):
        raise ValueError("no number")
    number = float(text)
    if not np.isfinite(number):
        raise ValueError("too large")
    return number


def _integer(text: str) -> int:
    shape = _INTEGER.fullmatch(text)
    number = int(shape[1]) if shape else None
    if number is None or number not in _INT64:
        raise ValueError("no integer of 64 bits")
    return number
