"""Rows of a compacted order book as arrays, behind the warm-up of the day before."""

from collections.abc import Sequence
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
class Book:
    """Snapshots of one symbol in order of time, seq and arrival (C01).

    The sequences hold one array a level, best level first; a missing level is NaN.
    """

    ts_us: Ints
    is_reset: Flags
    is_valid: Flags
    """Both sides are there and do not cross."""
    bid_prices: Sequence[Floats]
    bid_sizes: Sequence[Floats]
    ask_prices: Sequence[Floats]
    ask_sizes: Sequence[Floats]

    @property
    def mid(self) -> Floats:
        """(bid + ask) / 2, NaN on rows that are not valid (C06)."""
        return np.where(self.is_valid, (self.bid_prices[0] + self.ask_prices[0]) / 2, np.nan)

    @property
    def spread(self) -> Floats:
        """Ask minus bid, 0 where locked, NaN on rows that are not valid."""
        return np.where(self.is_valid, self.ask_prices[0] - self.bid_prices[0], np.nan)


def columns_of(levels: int) -> list[str]:
    """Return what kernels read of `order_book`, for a book of so many levels."""
    sides = ("bid_price", "bid_size", "ask_price", "ask_size")
    wide = [f"{side}_{level}" for side in sides for level in range(1, levels + 1)]
    return [*KEYS.names, "ts_capture", "seq", "is_reset", "book_state", *wide]


def to_arrow(values: npt.NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Return a column, null where a float is NaN and where an integer is negative."""
    if pa.types.is_floating(kind):
        return pa.array(values, kind, from_pandas=True)
    if pa.types.is_integer(kind):
        return pa.array(values, kind, mask=values < 0)
    return pa.array(values, kind)


def read_day(rows: pa.Table, head: pa.Table | None, warmup_us: int) -> tuple[Book, Ints]:
    """Return a day behind its warm-up, and where in it each of `rows` is.

    `rows` is a partition of `order_book` and `head` the one of the day before, or its end. Of the
    head, what is younger than the warm-up counts, and the one row before that. The clock is the
    receive time where there is one, so rows may have to change places, even across midnight.
    """
    ts, head_rows = _clock(rows), 0
    if head is not None and rows.num_rows and head.num_rows:
        midnight = int(pc.min(rows["date"]).cast(pa.int32()).as_py()) * 86_400_000_000
        head = _tail(head, min(midnight, int(ts.min())) - warmup_us)
        head_rows = head.num_rows
        ts = np.concatenate([_clock(head), ts])
        rows = pa.concat_tables([head.select(rows.column_names), rows])
    order = _order(ts, _seq(rows))
    if order is not None:
        rows, ts = rows.take(pa.array(order)), ts[order]
    positions = np.arange(len(ts)) if order is None else np.argsort(order)
    return _book(rows, ts), positions[head_rows:].astype(np.int64, copy=False)


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


def _book(rows: pa.Table, ts: Ints) -> Book:
    levels = sum(name.startswith("bid_price_") for name in rows.column_names)

    def side(name: str) -> list[Floats]:
        columns = (rows[f"{name}_{level}"] for level in range(1, levels + 1))
        return [pc.fill_null(column, np.nan).to_numpy() for column in columns]

    return Book(
        ts_us=ts,
        is_reset=pc.fill_null(rows["is_reset"], False).to_numpy(),
        is_valid=pc.is_in(rows["book_state"], pa.array(VALID_STATES)).to_numpy(),
        bid_prices=side("bid_price"),
        bid_sizes=side("bid_size"),
        ask_prices=side("ask_price"),
        ask_sizes=side("ask_size"),
    )
