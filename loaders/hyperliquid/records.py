"""The exact reading of a line: every field checked, every fault named.

This is the definition of what a line means. `batches` is a faster way to the same rows, for text
that it can prove to be free of surprises. One real line of `node_fills_by_block` (shortened):

    {"local_time":"2026-06-28T08:43:53.687645997","block_time":"2026-06-28T08:43:53.257028820",
     "block_number":1052527672,"events":[["0xa775...",{"coin":"SOL","px":"72.153","sz":"0.58",
     "side":"A","time":1782636233257,"startPosition":"-162.6","dir":"Open Short","closedPnl":"0.0",
     "hash":"0xdc25...","oid":481702553903,"crossed":false,"fee":"-0.001255","tid":340554939716632,
     "cloid":"0x0000...","liquidation":{"liquidatedUser":"0x5ef8...","markPx":"72.149",
     "method":"market"},"feeToken":"USDC","twapId":null}]]}
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from loaders.exact_json import NumberText, dump, load, verbatim
from loaders.hyperliquid.schema import (
    DECIMALS,
    END_TIME_MS,
    FILL_TYPES,
    FIRST_TIME_MS,
    FRACTION_DIGITS,
    INTEGER_DIGITS,
    LIQUIDATION_FIELDS,
    NOT_NEGATIVE,
    RAW_SCHEMA,
    REQUIRED,
    SIDES,
)

_DECIMAL: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")
_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
)
_INT64: Final = range(-(1 << 63), 1 << 63)
_ENVELOPE: Final = ("local_time", "block_time", "block_number", "events")
_KNOWN: Final = frozenset(FILL_TYPES) - {"user"} | {"time"}


class _FaultError(Exception):
    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


@dataclass(slots=True)
class Rows:
    """What some lines hold: good rows, rejected ones, and the names of fields we do not know."""

    table: pa.Table
    rejects: list[dict[str, Any]] = field(default_factory=list)
    extra: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    """Lines that could be opened; the others are rejected as a whole."""
    events: int = 0
    """Fills in them, counted before any of them is read."""


@dataclass(slots=True)
class Position:
    """How far an object has been read: what gives each fill its `event_index`.

    A block may be spread over several lines; its fills are counted on across them.
    """

    line_number: int = 0
    events_seen: dict[int, int] = field(default_factory=dict)

    def advance(self, block_number: int, count: int) -> int:
        """Count some more fills of a block, and return the index of the first of them."""
        first = self.events_seen.get(block_number, 0)
        self.events_seen[block_number] = first + count
        return first


def read_lines(text: bytes, offset: int, position: Position, *, by_block: bool) -> Rows:
    """Read lines one by one. `offset` is the place of `text` in the decoded object."""
    columns: dict[str, list[Any]] = {name: [] for name in RAW_SCHEMA.names}
    rows = Rows(RAW_SCHEMA.empty_table())
    lines = text.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for line in lines:
        number = position.line_number
        position.line_number += 1
        where = {"line": number + 1, "offset": offset}
        offset += len(line) + 1
        if not line.strip():
            continue
        try:
            envelope, events, first = _open_line(line, number, position, by_block, rows.extra)
        except _FaultError as fault:
            rows.rejects.append(where | _named(fault) | verbatim(line))
            continue
        rows.opened += 1
        rows.events += len(events)
        for event_index, event in enumerate(events, first):
            try:
                row = _read_event(event)
            except _FaultError as fault:
                block = {name: envelope[name] for name in envelope if name not in ("_extra",)}
                about = {"event_index": event_index} | _named(fault) | {"event": event}
                rows.rejects.append(where | block | about)
                continue
            extra = {**envelope.get("_extra", {}), **row.pop("extra")}
            rows.extra.update(extra.keys())
            columns["ts_event"].append(row.pop("time") * 1000)
            columns["block_time"].append(_nanoseconds(envelope.get("block_time")))
            columns["local_time"].append(_nanoseconds(envelope.get("local_time")))
            columns["block_number"].append(envelope.get("block_number"))
            columns["event_index"].append(event_index)
            columns["extra"].append(dump(extra) if extra else None)
            for name in FILL_TYPES:
                columns[name].append(row.get(name))
    arrays = [pa.array(columns[item.name], item.type) for item in RAW_SCHEMA]
    rows.table = pa.Table.from_arrays(arrays, schema=RAW_SCHEMA)
    return rows


def _open_line(
    line: bytes, number: int, position: Position, by_block: bool, extra: Counter[str]
) -> tuple[dict[str, Any], list[Any], int]:
    """Return the envelope of a line, its events, and the index of the first of them."""
    content = _parse(line)
    if not by_block:
        return {}, [content], number
    if type(content) is not dict:
        raise _FaultError("BAD_BLOCK", "a line should be an object that describes a block")
    for name in _ENVELOPE:
        if content.get(name) is None:
            raise _FaultError("MISSING_FIELD", f"the block has no {name!r}")
    block_number, events = content["block_number"], content["events"]
    if type(block_number) is not int or block_number not in _INT64:
        raise _FaultError("WRONG_TYPE", "'block_number' is no 64-bit integer")
    if type(events) is not list:
        raise _FaultError("WRONG_TYPE", "'events' is no list")
    envelope: dict[str, Any] = {"block_number": block_number}
    for name in ("block_time", "local_time"):
        if type(content[name]) is not str or _nanoseconds(content[name]) is None:
            raise _FaultError("BAD_TIME", f"{name!r} is no time like 2025-08-01T00:00:00.123456789")
        envelope[name] = content[name]
    unknown = {
        f"block.{name}": value
        for name, value in content.items()
        if name not in _ENVELOPE and value is not None
    }
    if unknown:
        envelope["_extra"] = unknown
        if not events:
            extra.update(unknown.keys())
    return envelope, events, position.advance(block_number, len(events))


def _parse(line: bytes) -> Any:
    try:
        return load(line)
    except ValueError as error:
        raise _FaultError("BAD_JSON", str(error)) from None


def _read_event(event: Any) -> dict[str, Any]:
    """Return the fields of one `[user, fill]`, and under `extra` those that are not known."""
    if type(event) is not list or len(event) != 2:
        raise _FaultError("BAD_EVENT", "a fill should be a pair of a user and an object")
    user, fill = event
    if type(user) is not str or type(fill) is not dict:
        raise _FaultError("BAD_EVENT", "a fill should be a pair of a user and an object")
    for name in REQUIRED:
        if fill.get(name) is None:
            raise _FaultError("MISSING_FIELD", f"the fill has no {name!r}")
    row: dict[str, Any] = {"user": user, "extra": {}}
    for name, value in fill.items():
        if value is None:
            continue
        if name in REQUIRED:
            row[name] = _read_field(name, value)
        else:
            row |= _read_optional(name, value, row["extra"])
    if not row["coin"]:
        raise _FaultError("BAD_VALUE", "'coin' is no name")
    if row["side"] not in SIDES:
        raise _FaultError("BAD_VALUE", "'side' is neither A nor B")
    if not FIRST_TIME_MS <= row["time"] < END_TIME_MS:
        raise _FaultError("BAD_TIME", "'time' is not in milliseconds of this century")
    return row


def _read_optional(name: str, value: Any, extra: dict[str, Any]) -> dict[str, Any]:
    """Return the column of an optional field; `extra` gets what does not fit a column.

    A fill is good without it, so a value of an unexpected type is kept as it was written.
    """
    if name == "liquidation" and type(value) is dict:
        found = _read_liquidation(value, extra)
        if found is not None:
            return {name: found}
    elif name in FILL_TYPES and name != "user":
        try:
            return {name: _read_field(name, value)}
        except _FaultError:
            pass
    extra[name] = value
    return {}


def _read_field(name: str, value: Any) -> Any:
    expected = FILL_TYPES.get(name, pa.int64())
    if name in DECIMALS:
        return _read_decimal(name, value)
    if expected == pa.string() and type(value) is str:
        return value
    if expected == pa.int64() and type(value) is int and value in _INT64:
        return value
    if expected == pa.bool_() and type(value) is bool:
        return value
    raise _FaultError("WRONG_TYPE", f"{name!r} is not of type {expected}")


def _read_decimal(name: str, value: Any) -> Decimal:
    if name not in REQUIRED and type(value) in (int, NumberText):
        value = str(value)  # documents of the venue and the archive disagree on what is a string
    if type(value) is not str:
        raise _FaultError("WRONG_TYPE", f"{name!r} is not a decimal in a string")
    shape = _DECIMAL.fullmatch(value)
    if shape is None:
        raise _FaultError("BAD_DECIMAL", f"{name!r} is not a plain decimal")
    whole, fraction = shape[2].lstrip("0"), (shape[3] or "").rstrip("0")
    if len(whole) > INTEGER_DIGITS or len(fraction) > FRACTION_DIGITS:
        raise _FaultError("BAD_DECIMAL", f"{name!r} does not fit decimal(38, 12)")
    number = Decimal(f"{shape[1]}{whole or 0}.{fraction or 0}")
    if name in NOT_NEGATIVE and number < 0:
        raise _FaultError("BAD_DECIMAL", f"{name!r} is negative")
    return number


def _read_liquidation(value: dict[str, Any], extra: dict[str, Any]) -> dict[str, str | None] | None:
    """Return the fields of a liquidation, each of which may be missing; None if all are."""
    found: dict[str, str | None] = dict.fromkeys(LIQUIDATION_FIELDS)
    left = {}
    for name, item in value.items():
        if name == "markPx" and item is not None:
            try:
                _read_decimal(f"liquidation.{name}", item)
                found[name] = str(item)
            except _FaultError:
                left[f"liquidation.{name}"] = item
        elif name in found and type(item) is str:
            found[name] = item
        elif item is not None:
            left[f"liquidation.{name}"] = item
    if all(item is None for item in found.values()):
        return None
    extra |= left
    return found


def _nanoseconds(instant: str | None) -> int | None:
    """Return ns since the epoch of a UTC time without a zone, None where it is none."""
    shape = _INSTANT.fullmatch(instant or "")
    if shape is None:
        return None
    try:
        seconds = datetime.fromisoformat(f"{shape[1]}+00:00").timestamp()
    except ValueError:
        return None
    nanoseconds = int(seconds) * 1_000_000_000 + int((shape[2] or "").ljust(9, "0"))
    return nanoseconds if nanoseconds in _INT64 else None


def _named(fault: _FaultError) -> dict[str, str]:
    return {"error_type": fault.error_type, "message": str(fault)}
