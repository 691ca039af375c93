"""The exact reading of a line: every field checked, every fault named.

This is the definition of what a line means; `shapes` is a faster way to the same. Real lines, with
the time received in front, which may be missing, as may the envelope of `stream` and `data`:

    1723161255088176367 {"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256322,
     "T":1723161256322,"s":"BTCUSDT","t":5266583935,"p":"61800.30","q":"0.006","X":"MARKET",
     "m":false}}
    1723161255319702566 {"lastUpdateId":5123107852948,"E":1723161256501,"T":1723161256493,
     "bids":[["61800.20","2.909"],...],"asks":[["61800.30","2.510"],...]}
"""

import re
from dataclasses import dataclass
from typing import Any, Final, cast

from loaders.capture.fields import (
    EVENT_TYPES,
    FUTURES_PARTIAL_BOOKS,
    PREFIX,
    SNAPSHOT,
    SPOT_PARTIAL_BOOKS,
    TIME,
    UNWANTED,
    EventType,
    FaultError,
    Field,
    Kind,
    Row,
)
from loaders.capture.venues import looks_like
from loaders.exact_json import dump, load
from ticklake.microstructure.book_rebuild import SequenceRule

_PREFIX: Final = re.compile(PREFIX)
_PARTIAL_BOOK: Final = re.compile(r"@(depth(?:5|10|20))(?:@|$)")
_SPOT_TICKER: Final = {"u", "s", "b", "B", "a", "A"}


class UnwantedError(Exception):
    """A line of an event that has no channel; its text is the name of the event."""


@dataclass(frozen=True, slots=True)
class Record:
    """One event of a line."""

    kind: Kind
    symbol: bytes | None
    """None for a snapshot that does not name it."""
    row: Row
    extra: tuple[str, ...]
    """The names of the fields in the row's `extra`."""


def read_line(line: bytes, rule: SequenceRule) -> list[Record]:
    """Return the events of a line: none if it is the venue's answer to a subscription.

    Raises FaultError and UnwantedError.
    """
    prefix = _PREFIX.match(line)
    content = parse(line[prefix.end() :] if prefix else line)
    stream, outer = "", {}
    if type(content) is dict:
        if "result" in content and "id" in content:
            content = content["result"]  # the WebSocket API answers with a snapshot of the book
            if type(content) is not dict or "lastUpdateId" not in content:
                return []
        elif "data" in content and type(content.get("stream")) is str:
            outer = {
                f"message.{name}": content[name]
                for name in content
                if name not in ("stream", "data")
            }
            stream, content = content["stream"], content["data"]
    capture = prefix[1] if prefix else None
    events = content if type(content) is list else [content]
    return [_read_event(event, capture, stream, outer, rule) for event in events]


def parse(text: bytes) -> Any:
    """Return JSON with its numbers as they were written. Raises FaultError."""
    try:
        return load(text)
    except ValueError as error:
        raise FaultError("BAD_JSON", str(error)) from None


def event_type(event: dict[str, Any], stream: str = "") -> EventType | None:
    """Return what an event of a stream is, None if we do not know it."""
    name = event.get("e")
    partial = _PARTIAL_BOOK.search(stream)
    if partial is not None:
        books = {None: SPOT_PARTIAL_BOOKS, "depthUpdate": FUTURES_PARTIAL_BOOKS}.get(name, {})
        return books.get(cast(Kind, partial[1]))
    if name is None and "lastUpdateId" in event:
        return SNAPSHOT
    if name is None and event.keys() >= _SPOT_TICKER:
        return EVENT_TYPES["bookTicker"]
    return EVENT_TYPES.get(name) if type(name) is str else None


def _read_event(
    event: Any, capture: bytes | None, stream: str, outer: dict[str, Any], rule: SequenceRule
) -> Record:
    kind = event_type(event, stream) if type(event) is dict else None
    if kind is None:
        name = event.get("e") if type(event) is dict else None
        if name in UNWANTED:
            raise UnwantedError(name)
        venue = looks_like(event)
        if venue is not None:
            raise FaultError(
                "UNKNOWN_STREAM",
                f"this looks like {venue}. Captures of Binance are the only ones that can be read",
            )
        raise FaultError(
            "UNKNOWN_STREAM",
            f"{name or stream or 'an event without a name'} is not an event of Binance that can "
            "be landed",
        )
    values = [None if field is None else _read_field(event, field) for field in kind.fields]
    _check_rule(event, kind, rule)
    unknown = {name: event[name] for name in event if name not in kind.names}
    extra = {name: value for name, value in {**outer, **unknown}.items() if value is not None}
    if kind is EVENT_TYPES["trade"] and event.get("X") not in (None, "MARKET"):
        extra["X"] = event["X"]
    symbol = _symbol(event, stream, kind)
    row = (
        symbol,
        capture,
        _event_time(event, kind, capture),
        *values,
        dump(extra).encode() if extra else None,
    )
    return Record(kind.kind, symbol, row, tuple(extra))


def _read_field(event: dict[str, Any], field: Field) -> bytes | None:
    value = event.get(field.name)
    if value is not None:
        return field.type.read(field.name, value)
    if field.is_required:
        raise FaultError("MISSING_FIELD", f"the {event.get('e', 'event')} has no {field.name!r}")
    return None


def _check_rule(event: dict[str, Any], kind: EventType, rule: SequenceRule) -> None:
    """Futures say which update was before; spot does not, and has no event in partial books."""
    if event.get("e") == "depthUpdate":
        is_difference = kind is EVENT_TYPES["depthUpdate"]
        if rule is SequenceRule.FUTURES and is_difference and event.get("pu") is None:
            raise FaultError(
                "MISSING_FIELD", "the depthUpdate has no 'pu', so it is not one of futures"
            )
        if rule is SequenceRule.SPOT and event.get("pu") is not None:
            raise FaultError("WRONG_EXCHANGE", "the depthUpdate has 'pu', so it is not one of spot")
    elif kind in SPOT_PARTIAL_BOOKS.values() and rule is SequenceRule.FUTURES:
        raise FaultError("WRONG_EXCHANGE", "the partial book has no 'e', so it is one of spot")


def _event_time(event: dict[str, Any], kind: EventType, capture: bytes | None) -> bytes | None:
    for field in kind.times:
        if event.get(field) is not None:
            return TIME.read(field, event[field])
    if capture is None and kind is not SNAPSHOT:
        raise FaultError("NO_TIME", "neither the event nor a time received says when it was")
    return capture


def _symbol(event: dict[str, Any], stream: str, kind: EventType) -> bytes | None:
    symbol = event.get("s")
    if "lastUpdateId" in event:
        symbol = symbol or event.get("symbol") or stream.partition("@")[0].upper() or None
        if symbol is None:
            return None
    if type(symbol) is not str or not symbol:
        raise FaultError("MISSING_FIELD", f"the {event.get('e', 'event')} has no symbol in 's'")
    return symbol.encode()
