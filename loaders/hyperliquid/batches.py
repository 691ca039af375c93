"""The fast way to read lines: the same rows as `records`, or a refusal.

Arrow's JSON reader is strict if it is given a schema: a field that it does not know, one that is
there twice, a value of another type and text that is no JSON are errors. But it cannot read a fill,
which is a list of a user and an object: `["0x...",{...}]`. So the users are taken out first, and
the text around the objects is overwritten with tabs: JSON allows them between values and nowhere
inside of strings. What is left of a block is an object with a list of objects; what is left of an
older line is one object. Any doubt, and any fault in a row, is a refusal: the caller then reads the
chunk line by line.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json

from loaders.hyperliquid.records import Position, Rows
from loaders.hyperliquid.schema import (
    DECIMALS,
    END_TIME_MS,
    FILL_TYPES,
    FIRST_TIME_MS,
    NOT_NEGATIVE,
    RAW_SCHEMA,
    REQUIRED,
    SIDES,
)

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_USER_LENGTH: Final = 42
_USER_AT: Final = 2
_HEAD_LENGTH: Final = _USER_AT + _USER_LENGTH + 2
"""Bytes of `["0x...",`, which comes before the object of a fill."""
_TABS: Final = np.frombuffer(b"\t" * _HEAD_LENGTH, f"V{_HEAD_LENGTH}")

_FILL: Final = pa.struct(
    [("time", pa.int64())]
    # Decimals are read as text: a JSON number in their place is another type.
    + [
        (name, pa.string() if name in DECIMALS else kind)
        for name, kind in FILL_TYPES.items()
        if name != "user"
    ]
)
_BLOCK: Final = pa.struct(
    [
        ("local_time", pa.string()),
        ("block_time", pa.string()),
        ("block_number", pa.int64()),
        ("events", pa.list_(_FILL)),
    ]
)
_INSTANT: Final = r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?$"


class _RefusedError(Exception):
    """The text holds something that only the exact reading can judge."""


def read_batch(text: bytes, position: Position, *, by_block: bool) -> Rows | None:
    """Return the rows of some whole lines and advance `position`, or None and leave it."""
    try:
        return _read(text, position, by_block)
    except (_RefusedError, IndexError, UnicodeDecodeError, pa.ArrowInvalid):
        return None


def _read(text: bytes, position: Position, by_block: bool) -> Rows:
    if not text.isascii():
        text.decode()
    data = np.frombuffer(bytearray(text), np.uint8)
    line_ends = np.flatnonzero(data == ord("\n"))
    _require(len(line_ends) > 0 and line_ends[-1] == len(data) - 1)
    users = _take_out_users(data, line_ends, by_block)
    found = _parse(data, _BLOCK if by_block else _FILL)
    _require(len(found) == len(line_ends))
    if by_block:
        envelopes = dict(zip(found.type.names, found.flatten(), strict=True))
        _require(all(column.null_count == 0 for column in envelopes.values()))
        events = envelopes.pop("events")
        fills = events.flatten()
        times = {name: _instants(envelopes[name]) for name in ("local_time", "block_time")}
    else:
        fills = found
    _require(len(fills) == len(users) and fills.null_count == 0)
    columns = _checked(dict(zip(fills.type.names, fills.flatten(), strict=True)))
    columns["user"] = users
    if by_block:
        counts = np.diff(events.offsets)
        columns |= {name: pa.array(np.repeat(column, counts)) for name, column in times.items()}
        columns |= _places(envelopes["block_number"].to_numpy(), counts, position)
    else:
        columns["event_index"] = pa.array(np.arange(len(fills)) + position.line_number)
    position.line_number += len(line_ends)
    arrays = [
        columns[item.name].cast(item.type)
        if item.name in columns
        else pa.nulls(len(fills), item.type)
        for item in RAW_SCHEMA
    ]
    table = pa.Table.from_arrays(arrays, schema=RAW_SCHEMA)
    return Rows(table, opened=len(line_ends), events=len(users))


def _take_out_users(data: Bytes, line_ends: Places, by_block: bool) -> pa.Array:
    """Return the users of the fills, and leave nothing but the object of each of them.

    A quote behind a bracket begins a fill, a bracket behind a brace ends one. Right behind an end
    must be the next beginning, or the end of the list: so no other brackets are taken for those of
    fills. Each line must begin with a brace and end with one: so it holds a value of its own.
    """
    opened = np.flatnonzero(data == ord("["))
    starts = opened[data[opened + 1] == ord('"')]
    closed = np.flatnonzero(data == ord("]"))
    ends = closed[data[closed - 1] == ord("}")]
    _require(len(starts) == len(ends))
    if by_block:
        _require_bytes(data, line_ends - 1, "}")
        _require_bytes(data, np.append(0, line_ends[:-1] + 1), "{")
        gaps = starts[1:] - ends[:-1]
        _require(bool((gaps >= 2).all() and (ends > starts).all()))
        is_next = gaps <= 3
        _require_bytes(data, ends[:-1][is_next] + 1, ",")
        _require_bytes(data, ends[:-1][gaps == 3] + 2, " ")
        _require_bytes(data, starts[1:][~is_next] - 1, "[")
        _require_bytes(data, ends[:-1][~is_next] + 1, "]")
        _require_bytes(data, starts[:1] - 1, "[")
        _require_bytes(data, ends[-1:] + 1, "]")
    else:
        _require(np.array_equal(starts, np.append(0, line_ends[:-1] + 1)))
        _require(np.array_equal(ends, line_ends - 1))
    objects = starts + _HEAD_LENGTH
    _require_bytes(data, objects - 2, '"')
    _require_bytes(data, objects - 1, ",")
    _require_bytes(data, objects + (data[objects] == ord(" ")), "{")
    heads = np.ndarray((len(data) - _HEAD_LENGTH,), _TABS.dtype, data, 0, (1,))
    texts = heads[starts].view(np.uint8).reshape(-1, _HEAD_LENGTH)[:, _USER_AT:-2].ravel()
    _require(bool(((texts >= ord("0")) & (texts <= ord("x")) & (texts != ord("\\"))).all()))
    heads[starts] = _TABS
    data[ends] = ord("\t")
    offsets = np.arange(len(starts) + 1, dtype=np.int32) * _USER_LENGTH
    return pa.Array.from_buffers(
        pa.string(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(texts)]
    )


def _parse(data: Bytes, kind: pa.StructType) -> pa.StructArray:
    table = pyarrow.json.read_json(
        pa.BufferReader(pa.py_buffer(data)),
        pyarrow.json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        pyarrow.json.ParseOptions(
            explicit_schema=pa.schema(list(kind)), unexpected_field_behavior="error"
        ),
    )
    return table.to_struct_array().combine_chunks()


def _instants(column: pa.Array) -> npt.NDArray[np.datetime64]:
    _require(pc.all(pc.match_substring_regex(column, _INSTANT)).as_py())
    instants: npt.NDArray[np.datetime64] = column.cast(pa.timestamp("ns")).to_numpy()
    return instants


def _places(numbers: Places, counts: Places, position: Position) -> dict[str, pa.Array]:
    """Return the block of each fill, and its place there."""
    blocks = zip(numbers.tolist(), counts.tolist(), strict=True)
    firsts = np.array([position.advance(*block) for block in blocks], np.int64)
    in_line = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return {
        "block_number": pa.array(np.repeat(numbers, counts)),
        "event_index": pa.array(np.repeat(firsts, counts) + in_line),
    }


def _checked(columns: dict[str, Any]) -> dict[str, Any]:
    """Return the columns of fills in their types; refuse what `records` would reject."""
    for name in REQUIRED:
        _require(columns[name].null_count == 0)
    for name in DECIMALS:
        columns[name] = _decimals(columns[name])
    for name in NOT_NEGATIVE:
        least = pc.min(columns[name]).as_py()
        _require(least is None or least >= 0)
    liquidations = columns["liquidation"].drop_null()
    _require(bool(pc.all(_has_a_field(liquidations)).as_py() is not False))
    _decimals(pc.struct_field(liquidations, "markPx"))
    _require(pc.any(pc.equal(columns["coin"], "")).as_py() is not True)
    _require(pc.all(pc.is_in(columns["side"], pa.array(SIDES))).as_py() is not False)
    times = columns["time"].to_numpy()
    _require(bool(((times >= FIRST_TIME_MS) & (times < END_TIME_MS)).all()))
    columns["ts_event"] = pa.array(times * 1000)
    return columns


def _has_a_field(liquidations: Any) -> Any:
    """Return for each liquidation whether it has any of its fields."""
    first, *others = (item.is_valid() for item in liquidations.flatten())
    for item in others:
        first = pc.or_(first, item)
    return first


def _decimals(column: Any) -> Any:
    """Return plain decimals as numbers.

    Arrow refuses what does not fit to the last digit. It accepts an exponent, a plus, and a point
    without a digit before or behind it: those are refused here.
    """
    numbers = column.cast(FILL_TYPES["px"])
    texts = column.drop_null()
    if len(texts):
        _, offset_buffer, data_buffer = texts.buffers()
        offsets = np.frombuffer(offset_buffer, np.int32)[texts.offset :][: len(texts) + 1]
        data = np.frombuffer(data_buffer, np.uint8)
        begins, ends = offsets[:-1], offsets[1:]
        _require(bool(data[begins[0] : ends[-1]].max() <= ord("9")))
        _require(bool((data[begins + (data[begins] == ord("-"))] >= ord("0")).all()))
        _require(bool((data[ends - 1] >= ord("0")).all()))
    return numbers


def _require_bytes(data: Bytes, places: Places, byte: str) -> None:
    _require(bool((data[places] == ord(byte)).all()))


def _require(holds: bool) -> None:
    if not holds:
        raise _RefusedError
