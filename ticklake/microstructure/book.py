"""Rows of a compacted order book as arrays, behind the warm-up of the day before."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.microstructure.windows import Floats, Ints

Flags = npt.NDArray[np.bool_]

VALID_STATES: Final = ("ok", "locked")
KEYS: Final = pa.schema(
    [
        pa.field("exchange", pa.string()),
        pa.field("symbol", pa.string()),
        pa.field("date", pa.date32()),
        pa.field("row_seq", pa.int64()),
        pa.field("ts_event", pa.timestamp("us", "UTC")),
    ]
)
"""What each table of features has of the row of `order_book` that it describes."""

_NO_SEQ: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True)
class Level:
    """One level of both sides on each row; what is missing is NaN."""

    bid_price: Floats
    bid_size: Floats
    ask_price: Floats
    ask_size: Floats


@dataclass(frozen=True, slots=True)
class Book:
    """Snapshots of one symbol in order of time, seq and arrival (C01)."""

    ts_us: Ints
    is_reset: Flags
    is_valid: Flags
    """Both sides are there and do not cross."""
    best: Level
    head: pa.Table | None
    """The rows of the day before that come with those of the day."""
    order: Ints | None
    """The places of the rows among those of the head and the day as stored, unless these."""

    @property
    def mid(self) -> Floats:
        """(bid + ask) / 2, NaN on rows that are not valid (C06)."""
        mid: Floats = self.best.bid_price + self.best.ask_price
        mid /= 2
        mid[~self.is_valid] = np.nan
        return mid

    @property
    def spread(self) -> Floats:
        """Ask minus bid, 0 where locked, NaN on rows that are not valid."""
        spread: Floats = self.best.ask_price - self.best.bid_price
        spread[~self.is_valid] = np.nan
        return spread


def columns_of(levels: int) -> list[str]:
    """Return what kernels read of `order_book`, for a book of so many levels."""
    wide = [name for level in range(1, levels + 1) for name in level_columns(level)]
    return [*KEYS.names, "ts_capture", "seq", "is_reset", "book_state", *wide]


def level_columns(level: int) -> list[str]:
    """Return the names of the columns of a level, in the order of `Level`."""
    return [f"{side}_{level}" for side in ("bid_price", "bid_size", "ask_price", "ask_size")]


def to_arrow(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return a column, null where a float is NaN and where an integer is negative."""
    if pa.types.is_floating(kind):
        return _nullable(values, np.isnan(values), kind)
    if pa.types.is_integer(kind):
        return _nullable(values, values < 0, kind)
    return pa.array(values, kind)


def _nullable(values: npt.NDArray[Any], is_null: Flags, kind: pa.DataType) -> pa.Array:
    """Return numbers as they lie in memory, behind a bit for each that is known."""
    known = pa.py_buffer(np.packbits(~is_null, bitorder="little")) if is_null.any() else None
    numbers = pa.py_buffer(np.ascontiguousarray(values, kind.to_pandas_dtype()))
    return pa.Array.from_buffers(kind, len(values), [known, numbers])


def read_day(rows: pa.Table, head: pa.Table | None, warmup_us: int) -> tuple[Book, Ints]:
    """Return a day behind its warm-up, and where in it each of `rows` is.

    `rows` is a partition of `order_book` and `head` the one of the day before, or its end. Of the
    head, what is younger than the warm-up counts, and the one row before that. The clock is the
    receive time where there is one, so rows may have to change places, even across midnight.
    """
    ts = _clock(rows)
    if head is not None and rows.num_rows and head.num_rows:
        midnight = int(pc.min(rows["date"]).cast(pa.int32()).as_py()) * 86_400_000_000
        head = _tail(head, min(midnight, int(ts.min())) - warmup_us)
        ts = np.concatenate([_clock(head), ts])
        rows = pa.concat_tables([head.select(rows.column_names), rows])
    else:
        head = None
    order = _order(ts, _seq(rows))
    if order is not None:
        rows, ts = rows.take(pa.array(order)), ts[order]
    positions = np.arange(len(ts)) if order is None else np.argsort(order)
    book = Book(
        ts_us=ts,
        is_reset=pc.fill_null(rows["is_reset"], False).to_numpy(),
        is_valid=pc.is_in(rows["book_state"], pa.array(VALID_STATES)).to_numpy(),
        best=Level(*(floats(rows[name]) for name in level_columns(1))),
        head=head,
        order=order,
    )
    return book, positions[head.num_rows if head else 0 :].astype(np.int64, copy=False)


def _clock(rows: pa.Table) -> Ints:
    ts: Ints = pc.coalesce(rows["ts_capture"], rows["ts_event"]).cast(pa.int64()).to_numpy()
    return ts


def _tail(head: pa.Table, since_us: int) -> pa.Table:
    ts = _clock(head)
    young = ts >= since_us
    before = np.flatnonzero(~young)
    if len(before):
        latest = np.lexsort((before, _seq(head)[before], ts[before]))[-1]
        young[before[latest]] = True
    return head.filter(pa.array(young))


def _seq(rows: pa.Table) -> Ints:
    seq: Ints = pc.fill_null(rows["seq"], _NO_SEQ).to_numpy()
    return seq


def _order(ts: Ints, seq: Ints) -> Ints | None:
    """Return rows by time, seq and place, or None where they are in that order already."""
    falls = (ts[1:] < ts[:-1]) | ((ts[1:] == ts[:-1]) & (seq[1:] < seq[:-1]))
    if not falls.any():
        return None
    return np.lexsort((np.arange(len(ts)), seq, ts))


def floats(column: pa.Array | pa.ChunkedArray) -> Floats:
    """Return a column of doubles, NaN where it is null; without copying where none is."""
    known = pc.fill_null(column, np.nan) if column.null_count else column
    values: Floats = known.to_numpy(zero_copy_only=False)
    values.setflags(write=False)  # as it is where it is not a copy: loops are compiled for either
    return values
