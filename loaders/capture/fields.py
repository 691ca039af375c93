"""What the events of a capture are made of, and how each kind of value is written.

A value becomes the text it was written as. `FieldType.pattern` matches the usual writing of it;
`FieldType.read` takes every writing that means the same, and is the definition of the two.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

from loaders.exact_json import NumberText

Kind = Literal["trade", "ticker", "mark", "depth", "depth5", "depth10", "depth20"]
"""What a row is of. `depth` has differences and the snapshots that they follow; `depth5` and so on
are whole books of that many levels."""
Value = bytes | None
Row = tuple[Value, ...]
"""Symbol, time received, time of the event, the fields of the event type, extra."""

INTEGER_DIGITS: Final = 26
FRACTION_DIGITS: Final = 12

_DECIMAL: Final = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")
PREFIX: Final = rb"([1-4][0-9]{12}(?:[0-9]{3}){0,2}) "
"""When a line was received: ms, us or ns since 1970."""
_TIME: Final = re.compile(r"[1-4][0-9]{12}(?:[0-9]{3}){0,2}")


class FaultError(Exception):
    """A line that cannot be used, and why."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


@dataclass(frozen=True, slots=True)
class FieldType:
    """How a kind of value is written."""

    pattern: bytes
    """With one group, the text of the value."""
    read: Callable[[str, Any], bytes]
    """Return the text of a value, given the name of its field. Raises FaultError."""


def _integer(name: str, value: Any) -> bytes:
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise FaultError("BAD_NUMBER", f"{name!r} is no 64-bit integer")
    return str(value).encode()


def _time(name: str, value: Any) -> bytes:
    """Milliseconds, or microseconds where the stream was asked for them; from 2001 to 2128."""
    if type(value) is not int or not _TIME.fullmatch(str(value)):
        raise FaultError("BAD_NUMBER", f"{name!r} is no time in ms or us since 1970")
    return str(value).encode()


def _time_or_zero(name: str, value: Any) -> bytes:
    return b"0" if type(value) is int and value == 0 else _time(name, value)


def _signed(name: str, value: Any) -> bytes:
    text = _text(value)
    shape = _DECIMAL.fullmatch(text)
    if shape is None:
        raise FaultError("BAD_NUMBER", f"{name!r} is no plain decimal")
    whole, fraction = shape[1].lstrip("0"), (shape[2] or "").rstrip("0")
    if len(whole) > INTEGER_DIGITS or len(fraction) > FRACTION_DIGITS:
        raise FaultError("BAD_NUMBER", f"{name!r} does not fit decimal(38, 12)")
    if len(text) > INTEGER_DIGITS + FRACTION_DIGITS:
        text = f"{'-' * text.startswith('-')}{whole or 0}.{fraction or 0}"
    return text.encode()


def _decimal(name: str, value: Any) -> bytes:
    text = _signed(name, value)
    if text.startswith(b"-"):
        raise FaultError("BAD_NUMBER", f"{name!r} is negative")
    return text


def _rate(name: str, value: Any) -> bytes:
    return b"" if value == "" else _signed(name, value)


def _flag(name: str, value: Any) -> bytes:
    if type(value) is not bool:
        raise FaultError("BAD_VALUE", f"{name!r} is neither true nor false")
    return b"true" if value else b"false"


def _levels(name: str, value: Any) -> bytes:
    if type(value) is not list or any(type(level) is not list for level in value):
        raise FaultError("BAD_LEVEL", f"{name!r} is no list of [price, size]")
    if any(len(level) != 2 for level in value):
        raise FaultError("BAD_LEVEL", f"{name!r} has a level that is no [price, size]")
    return b",".join(
        b'["%b","%b"]' % (_double(name, price), _double(name, size)) for price, size in value
    )


def _double(name: str, value: Any) -> bytes:
    """A number of the book, where more digits than a double has do no harm."""
    text = _text(value)
    if _DECIMAL.fullmatch(text) is None or text.startswith("-"):
        raise FaultError("BAD_NUMBER", f"{name!r} has a value that is no plain decimal")
    return text.encode()


def _text(value: Any) -> str:
    return str(value) if type(value) in (str, int, NumberText) else ""


INTEGER: Final = FieldType(rb"(-?[1-9][0-9]{0,17}|0)", _integer)
TIME: Final = FieldType(rb"([1-4][0-9]{12}(?:[0-9]{3})?)", _time)
TIME_OR_ZERO: Final = FieldType(rb"(0|[1-4][0-9]{12}(?:[0-9]{3})?)", _time_or_zero)
DECIMAL: Final = FieldType(rb'"([0-9]{1,20}(?:\.[0-9]{1,12})?)"', _decimal)
SIGNED: Final = FieldType(rb'"(-?[0-9]{1,20}(?:\.[0-9]{1,12})?)"', _signed)
RATE: Final = FieldType(rb'"((?:-?[0-9]{1,20}(?:\.[0-9]{1,12})?)?)"', _rate)
"""Empty for a contract without funding."""
FLAG: Final = FieldType(rb"(true|false)", _flag)
LEVELS: Final = FieldType(rb'\[([0-9., "\[\]]*)\]', _levels)
"""The pattern is too wide: `tables` looks closer, at all levels at once."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an event, as the venue names it."""

    name: str
    type: FieldType
    is_required: bool = True


@dataclass(frozen=True)
class EventType:
    """What an event holds. Where `fields` has None, the rows of its kind have nothing."""

    kind: Kind
    fields: tuple[Field | None, ...]
    times: tuple[str, ...] = ("T", "E")
    """Names of the time of the event: the first one that is there counts."""
    ignored: frozenset[str] = frozenset()
    """Fields that say nothing more."""

    @cached_property
    def names(self) -> frozenset[str]:
        """The fields that do not go to `extra`."""
        named = {field.name for field in self.fields if field is not None}
        return frozenset({"e", "s", "E", *self.times, *named, *self.ignored})


_PRICES: Final = (Field("p", DECIMAL), Field("q", DECIMAL), Field("m", FLAG))

EVENT_TYPES: Final = {
    # `X` is MARKET but for the trades of the insurance fund and the like: those keep it.
    "trade": EventType(
        "trade", (Field("t", INTEGER), None, None, *_PRICES), ignored=frozenset({"X", "M"})
    ),
    "aggTrade": EventType(
        "trade",
        (Field("a", INTEGER), Field("f", INTEGER), Field("l", INTEGER), *_PRICES),
        ignored=frozenset({"M"}),
    ),
    "bookTicker": EventType(
        "ticker",
        (
            Field("u", INTEGER),
            *(Field(name, DECIMAL) for name in ("b", "B", "a", "A")),
        ),
        ignored=frozenset({"ps"}),
    ),
    # `T` is the time of the next funding here.
    "markPriceUpdate": EventType(
        "mark",
        (
            Field("p", SIGNED),
            Field("i", SIGNED, is_required=False),
            Field("r", RATE, is_required=False),
            Field("T", TIME_OR_ZERO, is_required=False),
        ),
        times=("E",),
    ),
    "depthUpdate": EventType(
        "depth",
        (
            Field("U", INTEGER),
            Field("u", INTEGER),
            Field("pu", INTEGER, is_required=False),
            Field("b", LEVELS),
            Field("a", LEVELS),
        ),
        ignored=frozenset({"ps"}),
    ),
}

UNWANTED: Final = frozenset(
    (
        *("forceOrder", "kline", "continuous_kline", "avgPrice", "24hrTicker", "24hrMiniTicker"),
        *("1hTicker", "4hTicker", "1dTicker", "compositeIndex", "contractInfo", "tradingSession"),
        *("assetIndexUpdate", "indexPriceUpdate", "indexPrice_kline", "markPrice_kline"),
    )
)
"""Events that the lake has no channel for."""


def _whole_book(kind: Kind, last_id: str, bids: str, asks: str, *ignored: str) -> EventType:
    fields = (None, Field(last_id, INTEGER), None, Field(bids, LEVELS), Field(asks, LEVELS))
    return EventType(kind, fields, ignored=frozenset(ignored))


SNAPSHOT: Final = _whole_book("depth", "lastUpdateId", "bids", "asks", "symbol", "pair", "ps")
"""What the venue answers when it is asked for the whole book. It need not name its symbol."""

_PARTIAL: Final[tuple[Kind, ...]] = ("depth5", "depth10", "depth20")
SPOT_PARTIAL_BOOKS: Final = {
    kind: _whole_book(kind, "lastUpdateId", "bids", "asks") for kind in _PARTIAL
}
FUTURES_PARTIAL_BOOKS: Final = {
    kind: _whole_book(kind, "u", "b", "a", "U", "pu", "ps") for kind in _PARTIAL
}
"""The best levels of a book as their own stream. Only the name of the stream says so."""
