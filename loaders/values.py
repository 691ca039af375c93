"""From text and other Arrow values to the types of the channels, value by value.

Each function takes a column and returns one of the wanted type with the flags of what it could not
use; what is missing stays null. Text is read as a whole column where it is plain, and otherwise one
distinct value at a time: both give the same, and no value depends on its neighbours.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loaders.channels import DECIMAL, TIME
from loaders.mapping import UNITS, Rounding

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
    **dict.fromkeys(("unknown", "n"), None),
}
"""What a side column says of the aggressor, in lower case."""

_FLAGS: Final = {
    **dict.fromkeys(("true", "t", "1", "yes", "y"), True),
    **dict.fromkeys(("false", "f", "0", "no", "n"), False),
}
_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_INTEGER: Final = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_OFFSET: Final = re.compile(r"([+-])(\d\d):(\d\d)")
_FINER: Final = re.compile(r"([.,]\d{6})\d+")
_FORMATS: Final = (
    *(
        f"%{day} %H:%M:%S{end}"
        for day in ("d.%m.%Y", "d/%m/%Y", "m/%d/%Y", "Y.%m.%d", "Y%m%d")
        for end in ("", ".%f", ".%f GMT%z", " GMT%z", " %z")
    ),
    *("%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M", "%Y.%m.%d %H:%M", "%Y%m%d %H%M%S"),
    *("%Y%m%d %H%M%S%f", "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %I-%p", "%Y%m%d%H%M%S", "%d %b %Y"),
    *("%Y-%m-%dD%H:%M:%S.%f", "%Y-%m-%dD%H:%M:%S"),  # BitMEX
    *("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M:%S.%f"),
    *("%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M", "%b %d %Y", "%b %d, %Y", "%b %d %Y %H:%M:%S"),
)
"""Formats of times that a reject may propose; they are never tried on a row that lands."""
_DIGITS: Final = {8: "%Y%m%d", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
"""Formats of dates that look like numbers, by their length."""
_TIME_OF_DAY: Final = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?")
_OTHER_TIMES: Final = (
    "'timestamp_format', 'timestamp_unit' and 'timezone' of the mapping say how times are written"
)
_INT64: Final = range(-(1 << 63), 1 << 63)
_EXACT: Final = Context(prec=38, traps=[InvalidOperation, Inexact])
_WIDE: Final = Context(prec=2_000, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation])
_WHOLE_DIGITS: Final = 26  # of decimal(38, 12)
_DECIMALS: Final = 12
_UNIT: Final = Decimal(1).scaleb(-12)
# How many of a unit are a second: s, ms, us, ns.
_SCALES: Final = (1, 1_000, 1_000_000, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Values:
    """A converted column, null where a value is missing or bad."""

    array: pa.Array
    bad: Flags | None = None
    """Which values could not be used; None where all could."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How the times of a column are written, as far as they do not say it themselves."""

    form: str | None = None
    """The `strptime` format of all of them."""
    unit: str | None = None
    """What they count since the epoch: s, ms, us or ns; None: their magnitude tells."""
    zone: str | None = None
    """The zone of times without one: a name such as Europe/Paris, or an offset such as +05:30."""


@dataclass(frozen=True, slots=True)
class Notation:
    """How the numbers of a column are written, and what is done with them before they land."""

    scale: Decimal | None = None
    """What they are multiplied by, exactly."""
    round: Rounding | None = None
    """Applied after the scale."""
    decimal: str = "."
    thousands: str = ""


ISO: Final = Clock()
PLAIN: Final = Notation()


def instants(values: pa.Array, clock: Clock = ISO) -> Values:
    """Return times in microseconds, UTC.

    Text is ISO 8601, without a zone UTC, or a number of s, ms, us or ns since the epoch, which its
    magnitude tells; or what the clock says. What is finer is cut off. A time that the zone of the
    clock has twice, or skips, is bad.
    """
    values = _plain(values)
    kind = values.type
    if clock.form is not None:
        form, zone = clock.form, _zone(clock.zone)
        return _each(_texts(values), pa.int64(), lambda text: _formatted(text, form, zone), TIME)
    if pa.types.is_timestamp(kind):
        micros = _floored(values)
        return _believed(micros) if kind.tz else _localized(micros, clock.zone)
    if pa.types.is_date(kind):
        return _localized(values.cast(pa.timestamp("us")).cast(pa.int64()), clock.zone)
    scales = _SCALES if clock.unit is None else (_SCALES[UNITS.index(clock.unit)],)
    if pa.types.is_floating(kind):
        return _from_doubles(values, scales)
    if not (pa.types.is_string(kind) or pa.types.is_decimal(kind)):
        try:
            return _by_magnitude(values.cast(pa.int64()), scales)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _all_bad(values, TIME)
    texts = _texts(values)
    if _consists_of(texts, b"-0123456789"):
        try:
            return _by_magnitude(texts.cast(pa.int64()), scales)
        except pa.ArrowInvalid:  # dates, for example
            pass
    if clock.unit is None and _consists_of(texts, b"-+:.TZ 0123456789"):
        for zoned in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
            try:
                micros = _floored(texts.cast(zoned))
            except pa.ArrowInvalid:
                continue
            return _believed(micros) if zoned.tz else _localized(micros, clock.zone)
    zone = _zone(clock.zone)
    return _each(texts, pa.int64(), lambda text: _instant(text, clock.unit, zone), TIME)


def why_not_a_time(text: str, clock: Clock) -> tuple[str, str]:
    """Return the type of error of a time that `instants` refuses, and what is wrong with it."""
    try:
        if clock.form is not None:
            moment = _parsed(text, clock.form)
        elif _NUMBER.fullmatch(text):
            unit = f"in {clock.unit}" if clock.unit else "in s, ms, us or ns"
            told = f"as a number {unit} since the epoch is not a time between 1980 and 2100"
            form = _DIGITS.get(len(text))
            if form is not None and _has_form(text, form):
                return "BAD_TIME", f'{told}. Give "timestamp_format": "{form}" in the mapping'
            return "BAD_TIME", f"{told}. {_OTHER_TIMES}"
        else:
            moment = datetime.fromisoformat(text)
    except ValueError:
        if clock.form is not None:
            return "BAD_TIME", f"is not of the format {clock.form!r}. Correct 'timestamp_format'"
        known = [form for form in _FORMATS if _has_form(text, form)]
        if known:
            forms = " or ".join(f'"timestamp_format": "{form}"' for form in known)
            return "BAD_TIME", f"is not ISO 8601. Give {forms} in the mapping"
        if _TIME_OF_DAY.fullmatch(text):
            return (
                "BAD_TIME",
                "has no date. If another column has it, give both in the mapping, for example "
                '{"columns": {"ts_event": ["date", "time"]}}',
            )
        return "BAD_TIME", f"is neither ISO 8601 nor a number since the epoch. {_OTHER_TIMES}"
    zone = _zone(clock.zone)
    if moment.tzinfo is None and zone is not None and _is_unclear(moment, zone):
        local = moment.replace(tzinfo=zone)
        known_again = local.astimezone(UTC).astimezone(zone).replace(tzinfo=None)
        if known_again != moment:
            return (
                "NONEXISTENT_TIME",
                f"does not exist in {clock.zone}: its clocks were put forward then. Check that "
                "'timezone' is right",
            )
        return (
            "AMBIGUOUS_TIME",
            f"is twice in {clock.zone}: its clocks were put back then. Only times in UTC or with "
            "an offset tell which one it is",
        )
    return "BAD_TIME", "is not between 1980 and 2100"


def decimals(values: pa.Array, notation: Notation = PLAIN) -> Values:
    """Return exact decimals; what does not fit decimal(38, 12) to the last digit is bad.

    A float stands for the shortest decimal that reads as that float.
    """
    values = _plain(values)
    if notation != PLAIN:
        notation = _marked(values, notation)
        return _each(_texts(values), DECIMAL, lambda text: _fitted(_number(text, notation)))
    if pa.types.is_integer(values.type):
        return Values(values.cast(DECIMAL))
    texts = _texts(values)
    # Arrow does not notice every number of too many digits.
    if (pc.max(pc.binary_length(texts)).as_py() or 0) > _WHOLE_DIGITS:
        return _each(texts, DECIMAL, _decimal)
    return _numbers(texts, DECIMAL, b"-.0123456789", _decimal)


def why_not_a_decimal(text: str, name: str, notation: Notation = PLAIN) -> str:
    """Return what is wrong with a number for the column `name` that `decimals` refuses."""
    try:
        number = _number(text, notation)
    except (ValueError, ArithmeticError):
        if "," in text and notation.decimal == ".":
            return (
                'is not a number. Give "decimal": "," in the mapping if the comma is a decimal '
                'comma, or "thousands": "," if it separates thousands'
            )
        if any(mark in text for mark in ".' \u00a0_") and re.search(r"\d", text):
            return 'is not a number. "decimal" and "thousands" of the mapping say how it is written'
        return "is not a number"
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # it is finite
    if len(digits) + exponent > _WHOLE_DIGITS:
        return (
            f"has more than {_WHOLE_DIGITS} digits before the point. If it counts a smaller unit, "
            f'give "scale" in the mapping, for example {{"scale": {{"{name}": "1e-18"}}}}'
        )
    return (
        f'has {-exponent} decimals, and {_DECIMALS} are kept. Give "round" in the mapping, for '
        f'example {{"round": {{"{name}": 10}}}}'
    )


def doubles(values: pa.Array, notation: Notation = PLAIN) -> Values:
    """Return doubles. NaN is missing, infinity is bad."""
    values = _plain(values)
    if notation != PLAIN:
        notation = _marked(values, notation)
        return _each(_texts(values), pa.float64(), lambda text: finite(_number(text, notation)))
    if not pa.types.is_string(values.type):
        try:
            array = values.cast(pa.float64(), safe=False)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return _all_bad(values, pa.float64())
        array = pc.if_else(pc.is_nan(array), None, array)
        return _finite(array)
    found = _numbers(values, pa.float64(), b"-.0123456789", _double)
    return found if found.bad is not None else _finite(found.array)


def double(text: str, notation: Notation = PLAIN) -> float:
    """Return one number. Raises ValueError or ArithmeticError."""
    return finite(_number(text.strip(), notation))


def integers(values: pa.Array, notation: Notation = PLAIN) -> Values:
    """Return 64-bit integers; a fraction of nothing but zeros is none."""
    values = _plain(values)
    if pa.types.is_integer(values.type):
        try:
            return Values(values.cast(pa.int64()))
        except pa.ArrowInvalid:
            pass
    if notation != PLAIN:
        notation = _marked(values, notation)
        return _each(_texts(values), pa.int64(), lambda text: _whole(_number(text, notation)))
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


def _by_magnitude(numbers: pa.Array, scales: Sequence[int]) -> Values:
    missing = numbers.is_null().to_numpy(zero_copy_only=False)
    known = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    micros = np.zeros(len(known), np.int64)
    bad = ~missing
    for scale in scales:
        fits = (known >= FIRST_SECOND * scale) & (known < END_SECOND * scale)
        step = 10**6 // scale
        micros[fits] = known[fits] * step if step else known[fits] // (scale // 10**6)
        bad &= ~fits
    array = pa.array(micros, mask=missing | bad).cast(TIME)
    return Values(array, bad if bad.any() else None)


def _from_doubles(values: pa.Array, scales: Sequence[int]) -> Values:
    known = values.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    missing = np.isnan(known)
    micros = np.zeros(len(known), np.int64)
    bad = ~missing
    for scale in scales:
        fits = (known >= FIRST_SECOND * scale) & (known < END_SECOND * scale)
        micros[fits] = np.rint(known[fits] * (10**6 / scale)).astype(np.int64)
        bad &= ~fits
    array = pa.array(micros, mask=missing | bad).cast(TIME)
    return Values(array, bad if bad.any() else None)


def _instant(text: str, unit: str | None, zone: tzinfo | None) -> int:
    """Return the microseconds since the epoch of a time."""
    if _NUMBER.fullmatch(text):
        number = Decimal(text)
        for scale in _SCALES if unit is None else (_SCALES[UNITS.index(unit)],):
            if FIRST_SECOND * scale <= number < END_SECOND * scale:
                micros = number * 10**6 / scale
                return int(micros.to_integral_value(ROUND_FLOOR))
        raise ValueError("out of range")
    if unit is not None:
        raise ValueError("not a number")
    if text.upper().endswith("UTC"):
        text = text[:-3].rstrip() + "Z"
    return _micros(datetime.fromisoformat(text), zone)


def _formatted(text: str, form: str, zone: tzinfo | None) -> int:
    return _micros(_parsed(text, form), zone)


def _parsed(text: str, form: str) -> datetime:
    if "%f" in form:
        text = _FINER.sub(r"\1", text)
    return datetime.strptime(text, form)


def _has_form(text: str, form: str) -> bool:
    try:
        _parsed(text, form)
    except ValueError:
        return False
    return True


def _micros(moment: datetime, zone: tzinfo | None) -> int:
    if moment.tzinfo is None:
        if zone is not None and _is_unclear(moment, zone):
            raise ValueError("the zone has this time twice, or skips it")
        moment = moment.replace(tzinfo=zone or UTC)
    since = moment - datetime.fromtimestamp(0, UTC)
    seconds = since.days * 86_400 + since.seconds
    if not FIRST_SECOND <= seconds < END_SECOND:
        raise ValueError("out of range")
    return seconds * 10**6 + since.microseconds


def _zone(name: str | None) -> tzinfo | None:
    """Return the zone of a name or of an offset such as +05:30."""
    if name is None:
        return None
    minutes = _offset(name)
    return ZoneInfo(name) if minutes is None else timezone(timedelta(minutes=minutes))


def _offset(name: str) -> int | None:
    """Return the minutes of an offset, None for the name of a zone."""
    shape = _OFFSET.fullmatch(name)
    if shape is None:
        return None
    return int(f"{shape[1]}1") * (int(shape[2]) * 60 + int(shape[3]))


def _is_unclear(moment: datetime, zone: tzinfo) -> bool:
    """Return whether a zone has a local time twice, or skips it."""
    offsets = {moment.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    return len(offsets) > 1


def _localized(micros: pa.Array, name: str | None) -> Values:
    """Return the instants of local times, which are integer microseconds."""
    if name is None:
        return _believed(micros)
    minutes = _offset(name)
    if minutes is not None:
        return _believed(pc.subtract(micros, minutes * 60 * 10**6))
    local = micros.cast(pa.timestamp("us"))
    first, last = (
        pc.assume_timezone(local, name, ambiguous=which, nonexistent=which).cast(pa.int64())
        for which in ("earliest", "latest")
    )
    unclear = pc.not_equal(first, last).fill_null(False).to_numpy(zero_copy_only=False)
    if not unclear.any():
        return _believed(first)
    found = _believed(pc.if_else(pa.array(unclear), None, first))
    return Values(found.array, unclear if found.bad is None else unclear | found.bad)


def _decimal(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    return _fitted(Decimal(text))


def _fitted(number: Decimal) -> Decimal:
    return number.quantize(_UNIT, context=_EXACT)


def _marked(values: pa.Array, notation: Notation) -> Notation:
    """Return the notation of the texts of a column: those of numbers have a decimal point."""
    if pa.types.is_string(values.type):
        return notation
    return Notation(notation.scale, notation.round)


def _number(text: str, notation: Notation) -> Decimal:
    """Return the exact number of a text, scaled and rounded. Raises ValueError."""
    if notation.thousands and notation.thousands in text:
        mark = re.escape(notation.thousands)
        if not re.match(rf"[+-]?\d{{1,3}}(?:{mark}\d{{2,3}})*{mark}\d{{3}}(?!\d)", text):
            raise ValueError("not groups of thousands")
        whole, point, rest = text.partition(notation.decimal)
        text = whole.replace(notation.thousands, "") + point + rest
    if notation.decimal != ".":
        if "." in text:
            raise ValueError("two kinds of decimal point")
        text = text.replace(notation.decimal, ".")
    if not _NUMBER.fullmatch(text):
        raise ValueError("not a number")
    number = Decimal(text)
    if notation.scale is not None:
        number = _WIDE.multiply(number, notation.scale)
    if notation.round is None:
        return number
    if notation.round.digits is not None:
        return Context(prec=notation.round.digits, rounding=ROUND_HALF_EVEN).plus(number)
    unit = Decimal(1).scaleb(-(notation.round.decimals or 0))
    return number.quantize(unit, context=_WIDE)


def _whole(number: Decimal) -> int:
    if number != number.to_integral_value() or int(number) not in _INT64:
        raise ValueError("not an integer of 64 bits")
    return int(number)


def finite(number: Any) -> float:
    """Return a double. Raises ValueError if it is not finite."""
    found = float(number)
    if not np.isfinite(found):
        raise ValueError("not finite")
    return found


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


def plain_value(value: Any) -> Any:
    """Return an Arrow scalar of any type as what JSON has: text, lists and objects, or None.

    Numbers and times are written in full. What is not text is base64 if it is not UTF-8.
    """
    if not value.is_valid:
        return None
    kind = value.type
    if pa.types.is_dictionary(kind):
        return plain_value(value.value)
    if pa.types.is_map(kind):
        return [[plain_value(item["key"]), plain_value(item["value"])] for item in value.values]
    if pa.types.is_struct(kind):
        return {name: plain_value(value[name]) for name in dict.fromkeys(value)}
    if hasattr(value, "values") and pa.types.is_nested(kind):
        return [plain_value(item) for item in value.values]
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or kind == pa.binary_view():
        content = value.as_py()
        try:
            return content.decode()
        except UnicodeDecodeError:
            return base64.b64encode(content).decode()
    if pa.types.is_fixed_size_binary(kind):
        return base64.b64encode(value.as_py()).decode()
    try:
        return value.cast(pa.string()).as_py()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
        return str(getattr(value, "value", None))
