"""What a book did in each bar of time: the columns of `bars.book_bars`.

Rows are put into bars by `ts_event`, in the order of `row_seq`; what a row adds to the one before
it (ofi, returns) comes from `order_flow` and counts in the bar of the later row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.microstructure.book import Flags, floats, to_arrow
from ticklake.microstructure.windows import (
    Floats,
    Ints,
    Windows,
    rolling_mean,
    rolling_sum,
    rolling_sum_of_squares,
)

KEYS: Final = ("exchange", "symbol", "date")
QUOTES: Final = ("mid", "spread", "microprice", "imbalance_l1")
FLOWS: Final = ("ofi", "mlofi_decay", "log_return")
FEATURES: Final = (*KEYS, "row_seq", "ts_event", "ts", "is_valid", *QUOTES)
"""What is read of `book_features`."""
FLOW: Final = ("row_seq", "is_gap", *FLOWS)
"""What is read of `order_flow`."""
BEFORE: Final = ("ts_event", "spread")
"""What is read of the last row of `book_features` on the day before."""

TIME: Final = pa.timestamp("us", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        ("exchange", pa.string()),
        ("symbol", pa.string()),
        ("date", pa.date32()),
        ("bar_seconds", pa.int32()),
        ("ts_open", TIME),
        ("ts_close", TIME),
        ("ts_available", TIME),
        ("mid_open", pa.float64()),
        ("mid_high", pa.float64()),
        ("mid_low", pa.float64()),
        ("mid_close", pa.float64()),
        ("spread_mean", pa.float64()),
        ("spread_twap", pa.float64()),
        ("ofi_sum", pa.float64()),
        ("mlofi_decay_sum", pa.float64()),
        ("mlofi_decay_close", pa.float64()),
        ("realized_var", pa.float64()),
        ("realized_vol", pa.float64()),
        ("imbalance_l1_open", pa.float64()),
        ("imbalance_l1_close", pa.float64()),
        ("microprice_open", pa.float64()),
        ("microprice_close", pa.float64()),
        ("book_row_count", pa.int64()),
        ("is_gap", pa.bool_()),
    ]
)

SECOND_US: Final = 1_000_000
DAY_S: Final = 86_400

Column = npt.NDArray[Any]


def book_bars(
    features: pa.Table,
    flow: pa.Table,
    before: pa.Table | None,
    lengths_s: Sequence[int],
    max_gap_s: int,
) -> pa.Table:
    """Return the bars of some lengths in which a symbol and day has rows, by length and start.

    `features` and `flow` are partitions of `book_features` and `order_flow`, `before` is the last
    row of `book_features` on the day before. A book says nothing about the spread when it is more
    than `max_gap_s` old. Sums are made for each length on its own and carry their rounding errors
    along. Raises ValueError where a length does not divide a day, and where the rows of the tables
    are not the same, in order.
    """
    for seconds in lengths_s:
        if seconds < 1 or DAY_S % seconds:
            raise ValueError(f"bars of {seconds} seconds do not divide a day; see var bar_seconds")
    if not features["row_seq"].equals(flow["row_seq"]):
        raise ValueError(
            "order_flow and book_features do not have the same rows of this day; build both again"
        )
    rows = _read(features, flow, before, max_gap_s * SECOND_US)
    tables = [SCHEMA.empty_table()]
    if features.num_rows:
        keys = {name: features[name][0] for name in KEYS}
        tables += [_table(keys, _bars(rows, seconds)) for seconds in sorted(set(lengths_s))]
    return pa.concat_tables(tables)


@dataclass(frozen=True, slots=True)
class _Rows:
    """A day of book rows in the order of `row_seq`."""

    ts_us: Ints
    known_us: Ints
    """When each row and all before it were known."""
    is_valid: Flags
    is_gap: Flags
    values: dict[str, Floats]
    """QUOTES and FLOWS, NaN where undefined."""
    until_us: Ints
    """How long each quote holds: up to the next row, and no longer than max_gap."""
    until_before_us: Ints
    """The same of the row before each; 0 where there is none."""
    spread_before: Floats


def _read(features: pa.Table, flow: pa.Table, before: pa.Table | None, max_gap_us: int) -> _Rows:
    ts = _times(features["ts_event"])
    if (ts[1:] < ts[:-1]).any():
        raise ValueError("the rows of book_features do not come in the order of ts_event")
    values = {name: floats(features[name]) for name in QUOTES}
    values |= {name: floats(flow[name]) for name in FLOWS}
    last = before if before is not None and before.num_rows else None
    first_ts, first_spread = np.zeros(1, np.int64), np.full(1, np.nan)
    if last is not None:
        first_ts, first_spread = _times(last["ts_event"])[-1:], floats(last["spread"])[-1:]
    all_ts = np.concatenate([first_ts, ts])
    until = all_ts + max_gap_us
    until[:-1] = np.minimum(until[:-1], all_ts[1:])
    return _Rows(
        ts_us=ts,
        known_us=np.maximum.accumulate(_times(features["ts"])),
        is_valid=features["is_valid"].to_numpy(),
        is_gap=flow["is_gap"].to_numpy(),
        values=values,
        until_us=until[1:],
        until_before_us=until[:-1],
        spread_before=np.concatenate([first_spread, values["spread"][:-1]]),
    )


def _bars(rows: _Rows, seconds: int) -> dict[str, Column]:
    bar_us = seconds * SECOND_US
    opens = rows.ts_us - rows.ts_us % bar_us
    starts = np.flatnonzero(np.diff(opens, prepend=-1))
    ends = np.append(starts[1:], len(opens))
    bars = Windows(starts, starts, ends)
    ts_close = opens[starts] + bar_us
    values = rows.values
    variance = rolling_sum_of_squares(values["log_return"], bars)
    first, last = _valid(rows.is_valid, bars)
    return {
        "bar_seconds": np.full(len(starts), seconds),
        "ts_open": opens[starts],
        "ts_close": ts_close,
        "ts_available": np.maximum(ts_close, rows.known_us[ends - 1]),
        "mid_open": _at(values["mid"], first),
        "mid_high": np.fmax.reduceat(values["mid"], starts),
        "mid_low": np.fmin.reduceat(values["mid"], starts),
        "mid_close": _at(values["mid"], last),
        "spread_mean": rolling_mean(values["spread"], bars),
        "spread_twap": _twap(rows, bars, opens[starts], ts_close),
        "ofi_sum": rolling_sum(values["ofi"], bars),
        "mlofi_decay_sum": rolling_sum(values["mlofi_decay"], bars),
        "mlofi_decay_close": _at(values["mlofi_decay"], last),
        "realized_var": variance,
        "realized_vol": np.sqrt(variance),
        "imbalance_l1_open": _at(values["imbalance_l1"], first),
        "imbalance_l1_close": _at(values["imbalance_l1"], last),
        "microprice_open": _at(values["microprice"], first),
        "microprice_close": _at(values["microprice"], last),
        "book_row_count": ends - starts,
        "is_gap": np.logical_or.reduceat(rows.is_gap, starts),
    }


def _twap(rows: _Rows, bars: Windows, ts_open: Ints, ts_close: Ints) -> Floats:
    """Return the mean of the spread over the time of a bar in which a valid book holds."""
    spread = rows.values["spread"]
    closes = np.repeat(ts_close, bars.row_counts)
    held = np.where(rows.is_valid, np.minimum(rows.until_us, closes) - rows.ts_us, np.nan)
    # The book that the bar begins with is that of the row before its first.
    carried = rows.spread_before[bars.starts]
    carried_us = np.maximum(rows.until_before_us[bars.starts] - ts_open, 0) * ~np.isnan(carried)
    total_us = np.nan_to_num(rolling_sum(held, bars)) + carried_us
    area = np.nan_to_num(rolling_sum(spread * held, bars)) + np.nan_to_num(carried) * carried_us
    return np.where(total_us > 0, area / np.maximum(total_us, 1), np.nan)


def _valid(is_valid: Flags, bars: Windows) -> tuple[Ints, Ints]:
    """Return the first and last valid row of each bar, -1 where it has none."""
    rows = np.append(np.flatnonzero(is_valid), -1)
    first = np.searchsorted(rows[:-1], bars.starts)
    last = np.searchsorted(rows[:-1], bars.ends) - 1
    has_one = first <= last
    return np.where(has_one, rows[first], -1), np.where(has_one, rows[last], -1)


def _at(values: Floats, rows: Ints) -> Floats:
    return np.where(rows >= 0, values[rows], np.nan)


def _times(column: pa.ChunkedArray) -> Ints:
    times: Ints = column.cast(pa.int64()).to_numpy()
    return times


def _table(keys: dict[str, pa.Scalar], columns: dict[str, Column]) -> pa.Table:
    count = len(columns["ts_open"])
    arrays = [
        pa.repeat(keys[item.name].cast(item.type), count)
        if item.name in keys
        else to_arrow(columns[item.name], item.type)
        for item in SCHEMA
    ]
    return pa.table(arrays, schema=SCHEMA)
