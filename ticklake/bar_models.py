"""What the Python models of bars share: relations in, batches out, one symbol at a time.

A unit is an exchange and a date (DuckDB's variable `unit_date`) with all its symbols, whose trades
are never in memory at once. `trades` may hold the day before, too.
"""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np
import pyarrow as pa
from duckdb import DuckDBPyRelation

from ticklake.microstructure import bar_tables, bucket_tables
from ticklake.microstructure.bar_tables import BAR_TYPES, BarType, Day, read_day
from ticklake.microstructure.exact import Scaled
from ticklake.microstructure.thresholds import Thresholds, Totals, default_threshold

REAL: Final = "price > 0 and size > 0"
COLUMNS: Final = "trade_seq, ts_event, ts_capture, price, size, side"
TOTALS: Final = """
    exchange, symbol, date, date = getvariable('unit_date') as is_today,
    count(*) as trade_count, sum(size) as volume,
    sum(cast(price * size as decimal(38, 24))) as notional,
    epoch_us(max(ts_event)) - epoch_us(min(ts_event)) as span_us
"""
BATCH_ROWS: Final = 122_880


@dataclass(frozen=True, slots=True)
class Listing:
    """A symbol that traded on the day of a unit, and what it did the day before."""

    exchange: str
    symbol: str
    today: datetime.date
    yesterday: tuple[datetime.date, Totals] | None


def threshold_bars(
    trades: DuckDBPyRelation,
    thresholds: DuckDBPyRelation,
    bar_types: Sequence[str],
    bars_per_day: int,
) -> pa.RecordBatchReader:
    """Return the bars of some types that the trades of the day make."""
    chosen = _chosen(thresholds)

    def batches() -> Iterator[pa.RecordBatch]:
        for listing in _listings(trades):
            wanted = [
                (name, threshold)
                for name in bar_types
                for threshold in _limits(chosen, listing, name, BAR_TYPES[name], bars_per_day)
            ]
            if wanted:
                day = _day(trades, listing, listing.today)
                for name, threshold in wanted:
                    yield from bar_tables.threshold_bars(day, name, threshold).to_batches()

    return pa.RecordBatchReader.from_batches(bar_tables.SCHEMA, batches())


def vpin_buckets(
    trades: DuckDBPyRelation, thresholds: DuckDBPyRelation, bars_per_day: int, window: int
) -> pa.RecordBatchReader:
    """Return the volume buckets that the trades of the day fill; VPIN is over `window` of them."""
    chosen = _chosen(thresholds)

    def batches() -> Iterator[pa.RecordBatch]:
        for listing in _listings(trades):
            limits = _limits(chosen, listing, "vpin", BarType("volume"), bars_per_day)
            if limits:
                earlier = _earlier(trades, listing, limits, window)
                day = _day(trades, listing, listing.today)
                for threshold, before in zip(limits, earlier, strict=True):
                    table = bucket_tables.bucket_table(day, threshold, before, window)
                    yield from table.to_batches()

    return pa.RecordBatchReader.from_batches(bucket_tables.SCHEMA, batches())


def _chosen(thresholds: DuckDBPyRelation) -> Thresholds:
    return Thresholds(thresholds.project("exchange, symbol, bar_type, threshold").fetchall())


def _listings(trades: DuckDBPyRelation) -> list[Listing]:
    """Return the symbols that traded on the day, in order."""
    rows = trades.filter(REAL).aggregate(TOTALS, "exchange, symbol, date").fetchall()
    yesterday = {
        symbol: (date, Totals(*totals))
        for _, symbol, date, is_today, *totals in rows
        if not is_today
    }
    return [
        Listing(exchange, symbol, date, yesterday.get(symbol))
        for exchange, symbol, date, is_today, *_ in sorted(rows)
        if is_today
    ]


def _limits(
    chosen: Thresholds, listing: Listing, name: str, kind: BarType, bars_per_day: int
) -> Sequence[Decimal]:
    found = chosen.of(listing.exchange, listing.symbol, name)
    if found or listing.yesterday is None:
        return found
    default = default_threshold(kind, listing.yesterday[1], bars_per_day)
    return [] if default is None else [default]


def _day(trades: DuckDBPyRelation, listing: Listing, date: datetime.date) -> Day:
    # A file is in the order of trade_seq and so is what DuckDB reads of it: `read_day` makes sure.
    symbol = listing.symbol.replace("'", "''")
    rows = trades.filter(f"symbol = '{symbol}' and date = '{date}'").project(COLUMNS)
    return read_day(listing.exchange, listing.symbol, date, rows.to_arrow_reader(BATCH_ROWS))


def _earlier(
    trades: DuckDBPyRelation, listing: Listing, limits: Sequence[Decimal], window: int
) -> list[Scaled]:
    """Return yesterday's last imbalances at each threshold."""
    if listing.yesterday is None:
        return [Scaled(np.zeros(0, np.int64), 0)] * len(limits)
    date, _ = listing.yesterday
    day = _day(trades, listing, date)
    return [bucket_tables.last_imbalances(day, threshold, window) for threshold in limits]
