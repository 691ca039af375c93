"""The fast reading of lines: the same rows as `records`, or a refusal.

DuckDB's JSON reader is fast and lenient: it turns numbers into strings, ignores fields it was not
asked for, accepts a trailing comma and a NaN. So before its answer is believed, the text has to add
up. With NumPy we count every quote, every name and every value that is no string, and compare that
with what came out. Equal counts leave no room for an unknown field, a wrong type, a field that
occurs twice, or white space where no writer puts it. Any doubt, and any fault in a row, is a
refusal: the caller then reads the chunk line by line.

The node writes no space. Recorders that write its lines again often put one behind each comma and
colon: it is taken out first.
"""

import json
import re
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from loaders.hyperliquid.records import Position
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

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.int64]

_HEAD: Final = re.compile(
    rb'\{"local_time":"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)"'
    rb',"block_time":"(20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?)"'
    rb',"block_number":(0|[1-9]\d{0,17}),"events":\['
)
_HEAD_NAMES: Final = 4
_HEAD_STRINGS: Final = 2

_USER_LENGTH: Final = 42
# An event reads `["0x...",{...}]`: where the user and the object begin in it.
_USER_AT: Final = 2
_FILL_AT: Final = _USER_AT + _USER_LENGTH + 2

# DuckDB gives every value as text; the integers are cast afterwards, so that 1.5 stays visible.
_TRANSFORM: Final = "unnest(json_transform(fill, '{}'))".format(
    json.dumps(
        {name: "VARCHAR" for name in ("time", *FILL_TYPES) if name not in ("user", "liquidation")}
        | {"liquidation": dict.fromkeys(LIQUIDATION_FIELDS, "VARCHAR")}
    )
)


def _word(four: bytes) -> int:
    return int(np.frombuffer(four, np.uint32)[0])


# The last four bytes of each name whose value is no string; no other name that we know ends so.
_NAME_ENDS: Final = {
    name: _word(end)
    for name, end in {
        "time": b"time",
        "oid": b'"oid',
        "tid": b'"tid',
        "twapId": b"apId",
        "crossed": b"ssed",
        "liquidation": b"tion",
    }.items()
}
_HEAD_ENDS: Final = (_word(b"mber"), _word(b"ents"))

_LOWER_HEX: Final = np.isin(np.arange(256), np.frombuffer(b"0123456789abcdefx", np.uint8))
# What may stand before a closing brace: the end of a string, number, word or object, not a comma.
_BEFORE_BRACE: Final = np.isin(np.arange(256), np.frombuffer(b'"0123456789el}]{', np.uint8))


class _RefusedError(Exception):
    """The text holds something that only the exact reading can judge."""


class BatchReader:
    """Reads chunks of lines into Arrow tables of `RAW_SCHEMA`. One thread, bounded memory."""

    def __init__(self, memory_limit: str = "512MB") -> None:
        self._connection = duckdb.connect(config={"threads": 1, "memory_limit": memory_limit})

    def read(self, text: bytes, position: Position, *, by_block: bool) -> pa.Table | None:
        """Return the rows of some whole lines and advance `position`, or None and leave it."""
        try:
            return self._read(text, position, by_block)
        except (_RefusedError, IndexError, duckdb.Error, pa.ArrowInvalid):
            return None

    def _read(self, text: bytes, position: Position, by_block: bool) -> pa.Table:
        text = _without_spaces(text)
        data = np.frombuffer(text, np.uint8)
        line_ends = np.flatnonzero(data == ord("\n"))
        _require(len(line_ends) > 0 and line_ends[-1] == len(data) - 1)
        quotes = data == ord('"')
        opened = np.flatnonzero(data == ord("["))
        heads = _Heads(text, line_ends) if by_block else None
        starts = opened[quotes[opened + 1]]
        if heads is not None:
            _require(len(opened) == len(starts) + len(line_ends))
            counts, ends = heads.frame(data, starts)
        else:
            _require(len(opened) == len(starts))
            counts, ends = _frame_fills(data, starts, line_ends)
        if not len(starts):
            if heads is not None:
                heads.columns(counts, position)
            position.line_number += len(line_ends)
            return RAW_SCHEMA.empty_table()
        columns = self._columns(text, data, starts, ends)
        _check_account(data, quotes, columns, len(line_ends) if by_block else 0)
        fields = _check_fields(columns)
        fields["user"] = _users(data, starts)
        if heads is not None:
            fields |= heads.columns(counts, position)
        else:
            fields |= _legacy_columns(len(starts), position)
        position.line_number += len(line_ends)
        fields["ts_event"] = pc.multiply(columns["time"].cast(pa.int64()), 1000)
        arrays = [
            fields[item.name].cast(item.type) if item.name in fields else _nulls(item, len(starts))
            for item in RAW_SCHEMA
        ]
        return pa.Table.from_arrays(arrays, schema=RAW_SCHEMA)

    def _columns(self, text: bytes, data: Bytes, starts: Places, ends: Places) -> dict[str, Any]:
        """Parse the objects that lie between `starts` and `ends`, without copying them."""
        begins = starts + _FILL_AT
        views = np.zeros((len(starts), 4), np.uint32)  # length, first four bytes, buffer, offset
        views[:, 0] = ends - begins
        views[:, 1] = _words(data)[begins]
        views[:, 3] = begins
        fills = pa.Array.from_buffers(
            pa.string_view(), len(starts), [None, pa.py_buffer(views), pa.py_buffer(text)]
        )
        relation = self._connection.from_arrow(pa.table({"fill": fills}))
        # A relation goes to Arrow directly; `execute` would copy the result once more.
        table = relation.project(_TRANSFORM).to_arrow_table()
        return {name: table[name].combine_chunks() for name in table.column_names}


def _without_spaces(text: bytes) -> bytes:
    """Return lines without a space behind the commas and colons that are not in strings.

    Who writes spaces writes them from the beginning, and a look at all of the text would take time.
    """
    if b'": ' not in text[:256]:
        return text
    _require(b"\\" not in text)  # it may hide a quote
    data = np.frombuffer(text, np.uint8)
    is_inside = np.cumsum(data == ord('"'), dtype=np.uint8) % 2 == 1
    # Strings that are open at the end of a line would turn what is inside and outside around.
    _require(not is_inside[data == ord("\n")].any())
    is_space = (data == ord(" ")) & ~is_inside
    is_space[1:] &= (data[:-1] == ord(":")) | (data[:-1] == ord(","))
    written: bytes = data[~is_space].tobytes()
    return written


class _Heads:
    """The envelopes of lines that are blocks."""

    def __init__(self, text: bytes, line_ends: Places) -> None:
        begins = np.concatenate(([0], line_ends[:-1] + 1))
        found = [_HEAD.match(text, begin) for begin in begins.tolist()]
        matches = [match for match in found if match is not None]
        _require(len(matches) == len(found))
        self._line_ends = line_ends
        self._ends = np.array([match.end() for match in matches], np.int64)
        self._local_times, self._block_times, self._numbers = zip(
            *(match.groups() for match in matches), strict=True
        )

    def frame(self, data: Bytes, starts: Places) -> tuple[Places, Places]:
        """Return the number of events of each line, and where each event's object ends.

        Events must fill the line from its head to its `]}` with one comma between two of them.
        """
        first = np.searchsorted(starts, self._ends)
        after = np.searchsorted(starts, self._line_ends)
        counts = after - first
        _require(int(counts.sum()) == len(starts))
        closes = self._line_ends - 2
        _require(bool((closes >= self._ends).all()))
        _require(bool((data[closes] == ord("]")).all() & (data[closes + 1] == ord("}")).all()))
        # A line without events has nothing between its head and its end.
        _require(bool((closes[counts == 0] == self._ends[counts == 0]).all()))
        filled = counts > 0
        _require(bool((starts[first[filled]] == self._ends[filled]).all()))
        following = np.append(starts, 0)[1:]
        ends = following - 2
        is_last = np.zeros(len(starts), bool)
        is_last[after[filled] - 1] = True
        ends[is_last] = closes[filled] - 1
        _require_events(data, starts, ends)
        _require(bool((data[ends[~is_last] + 1] == ord(",")).all()))
        return counts, ends

    def columns(self, counts: Places, position: Position) -> dict[str, Any]:
        """Return what an event takes from its line, and its place in the block."""
        try:
            local_times = np.array(self._local_times).astype("datetime64[ns]")
            block_times = np.array(self._block_times).astype("datetime64[ns]")
        except ValueError:
            raise _RefusedError from None
        numbers = [int(number) for number in self._numbers]
        firsts = np.array(
            [position.advance(*block) for block in zip(numbers, counts.tolist(), strict=True)],
            np.int64,
        )
        in_line = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return {
            "local_time": pa.array(np.repeat(local_times, counts)),
            "block_time": pa.array(np.repeat(block_times, counts)),
            "block_number": pa.array(np.repeat(np.array(numbers, np.int64), counts)),
            "event_index": pa.array(np.repeat(firsts, counts) + in_line),
        }


def _frame_fills(data: Bytes, starts: Places, line_ends: Places) -> tuple[Places, Places]:
    """Return where each object ends, for lines that are one event each."""
    begins = np.concatenate(([0], line_ends[:-1] + 1))
    _require(np.array_equal(begins, starts))
    ends = line_ends - 1
    _require_events(data, starts, ends)
    return np.ones(len(starts), np.int64), ends


def _require_events(data: Bytes, starts: Places, ends: Places) -> None:
    _require(bool((ends - starts > _FILL_AT + 2).all()))
    begins = starts + _FILL_AT
    for places, byte in ((ends, "]"), (begins - 2, '"'), (begins - 1, ","), (begins, "{")):
        _require(bool((data[places] == ord(byte)).all()))


def _legacy_columns(count: int, position: Position) -> dict[str, Any]:
    return {"event_index": pa.array(np.arange(count) + position.line_number)}


def _users(data: Bytes, starts: Places) -> Any:
    users = _windows(data, _USER_LENGTH)[starts + _USER_AT].view(np.uint8)
    _require(bool(_LOWER_HEX[users].all()))
    offsets = np.arange(len(starts) + 1, dtype=np.int32) * _USER_LENGTH
    return pa.Array.from_buffers(
        pa.string(), len(starts), [None, pa.py_buffer(offsets), pa.py_buffer(users)]
    )


def _check_account(data: Bytes, quotes: Any, columns: dict[str, Any], heads: int) -> None:
    """Require that the columns hold all there is in the text, each value of the right kind."""
    names = np.flatnonzero(quotes[:-1] & (data[1:] == ord(":")))
    firsts = data[2:].take(names)
    nulls = int(np.count_nonzero(firsts == ord("n")))
    strings = int(np.count_nonzero(firsts == ord('"')))
    others = names[(firsts != ord('"')) & (firsts != ord("n"))]
    rows = len(columns["coin"])

    held = {name: rows - column.null_count for name, column in columns.items()}
    inner = sum(
        held["liquidation"] - item.filter(columns["liquidation"].is_valid()).null_count
        for item in columns["liquidation"].flatten()
    )
    _require(bool(pc.all(_has_a_field(columns["liquidation"])).as_py() is not False))

    kinds = sum(count for name, count in held.items() if name not in _NAME_ENDS)
    _require(strings == kinds + inner + heads * _HEAD_STRINGS)
    ends = _words(data)[others - 4]
    for name, end in _NAME_ENDS.items():
        _require(int(np.count_nonzero(ends == end)) == held[name])
    for end in _HEAD_ENDS:
        _require(int(np.count_nonzero(ends == end)) == heads)
    _require(len(others) == sum(held[name] for name in _NAME_ENDS) + 2 * heads)

    written = 2 * (len(names) + strings + rows)
    _require(int(np.count_nonzero(quotes)) == written)
    _require(nulls + strings + len(others) == len(names))
    braces = np.flatnonzero(data == ord("}"))
    _require(bool(_BEFORE_BRACE[data[braces - 1]].all()))


def _has_a_field(liquidations: Any) -> Any:
    """Return for each liquidation whether it has any of its fields."""
    first, *others = (item.is_valid() for item in liquidations.drop_null().flatten())
    for item in others:
        first = pc.or_(first, item)
    return first


def _check_fields(columns: dict[str, Any]) -> dict[str, Any]:
    """Return the columns in their types; refuse what `records` would reject."""
    for name in REQUIRED:
        _require(columns[name].null_count == 0)
    for name in DECIMALS:
        _require_decimals(columns[name])
    for name in NOT_NEGATIVE:
        _require(pc.any(pc.starts_with(columns[name], "-")).as_py() is not True)
    liquidation = columns["liquidation"]
    _require_decimals(pc.struct_field(liquidation.filter(liquidation.is_valid()), "markPx"))
    _require(pc.any(pc.equal(columns["coin"], "")).as_py() is not True)
    _require(bool(pc.all(pc.is_in(columns["side"], pa.array(SIDES))).as_py() is not False))
    booleans = pa.array(["true", "false"])
    _require(bool(pc.all(pc.is_in(columns["crossed"], booleans)).as_py() is not False))
    times = columns["time"].cast(pa.int64()).to_numpy()
    _require(bool(((times >= FIRST_TIME_MS) & (times < END_TIME_MS)).all()))
    fields = {name: columns[name] for name in FILL_TYPES if name != "user"}
    fields["crossed"] = pc.equal(columns["crossed"], "true")
    return fields


def _require_decimals(column: Any) -> None:
    """Require plain decimals that are surely short enough, looking at all their bytes at once."""
    column = column.drop_null()
    if not len(column):
        return
    _, offset_buffer, data_buffer = column.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[column.offset :][: len(column) + 1]
    begins, ends = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
    _require(bool((ends > begins).all()))
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    minus, point = data == ord("-"), data == ord(".")
    digits = (data >= ord("0")) & (data <= ord("9"))
    _require(bool((minus | point | digits).all()))
    signed = minus[begins]
    _require(int(np.count_nonzero(minus)) == int(np.count_nonzero(signed)))
    # Each value begins (after its sign) and ends with a digit, and has at most one point.
    firsts = begins + signed
    _require(bool((firsts < ends).all()))
    _require(bool(digits[firsts].all() & digits[ends - 1].all()))
    points = np.flatnonzero(point)
    of_value = np.searchsorted(ends, points, side="right")
    _require(len(points) < 2 or bool((np.diff(of_value) > 0).all()))
    whole = ends - firsts
    whole[of_value] = points - firsts[of_value]
    fraction = ends[of_value] - points - 1
    _require(bool((whole <= INTEGER_DIGITS).all() & (fraction <= FRACTION_DIGITS).all()))


def _words(data: Bytes) -> npt.NDArray[np.uint32]:
    """Return the four bytes at each place as one number."""
    return np.ndarray((max(len(data) - 3, 0),), np.uint32, data, 0, (1,))


def _windows(data: Bytes, width: int) -> npt.NDArray[np.void]:
    """Return the `width` bytes at each place as one item, without copying them."""
    return np.ndarray((max(len(data) - width + 1, 0),), f"V{width}", data, 0, (1,))


def _nulls(item: pa.Field, count: int) -> Any:
    return pa.nulls(count, item.type)


def _require(holds: bool) -> None:
    if not holds:
        raise _RefusedError
