"""What the Python models of bars share: relations in, batches out, one symbol at a time.

A unit is an exchange and a date (DuckDB's variable `unit_date`) with all its symbols, whose trades
are never in memory at once. `trades` may hold the day before, too.
"""

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from duckdb import (
    ColumnExpression,
    ConstantExpression,
    ConversionException,
    DuckDBPyRelation,
    OutOfRangeException,
)

from ticklake.microstructure import bar_tables, bucket_tables
from ticklake.microstructure.bar_tables import BAR_TYPES, MOST_PARTS, BarType, Day, read_day
from ticklake.microstructure.bucket_tables import Filled, bucket_table, filled
from ticklake.microstructure.thresholds import Thresholds, Totals, default_threshold

REAL: Final = "price > 0 and size > 0"
COLUMNS: Final = ("trade_seq", "ts_event", "ts_capture", "price", "size", "side")
TOTALS: Final = """
    exchange, symbol, date, date = getvariable('unit_date') as is_today,
    count(*) as trade_count, sum(size) as volume,
    sum(cast(price * size as decimal(38, 24))) as notional,
    epoch_us(max(ts_event)) - epoch_us(min(ts_event)) as span_us
"""
TOO_LARGE: Final = """
    sum(cast(cast(price as double) * cast(size as double) as bigint)) + count(*) >= 100000000000000
    or cast(max(size) as double) * count(*) >= 1e25
"""
"""Whether trades add up to more than the columns of bars hold: see the macro `sums_too_large`."""
VPIN: Final = ("vpin", BarType("volume"))
"""The buckets of VPIN in the seed of thresholds, and what fills them."""
BATCH_ROWS: Final = 122_880


@dataclass(frozen=True, slots=True)
class Listing:
    """A symbol that traded on the day of a unit or the day before."""

    exchange: str
    symbol: str
    today: datetime.date | None
    """The day of the unit, None where it did not trade on it."""
    yesterday: Totals | None
    volume: Decimal = Decimal(0)
    """Of today."""

    def limits(
        self, chosen: Thresholds, name: str, kind: BarType, bars_per_day: int
    ) -> Sequence[Decimal]:
        """Return the thresholds of a type: those chosen, else one by the day before, if any.

        The day before says nothing either of a day with so much more volume that it would be cut in
        millions of parts.
        """
        found = chosen.of(self.exchange, self.symbol, name)
        if found or self.yesterday is None:
            return found
        default = default_threshold(kind, self.yesterday, bars_per_day)
        cuts_trades = kind.is_split or name == VPIN[0]
        if default is None or (cuts_trades and self.volume > default * MOST_PARTS):
            return []
        return [default]


def threshold_bars(
    trades: DuckDBPyRelation,
    thresholds: DuckDBPyRelation,
    bar_types: Sequence[str],
    bars_per_day: int,
) -> pa.RecordBatchReader:
    """Return the bars of some types that the trades of the day make."""
    chosen = _chosen(thresholds)

    def batches() -> Iterator[pa.RecordBatch]:
        wanted = {
            listing: limits
            for listing in _listings(trades)
            if listing.today
            and (
                limits := [
                    (name, threshold)
                    for name in bar_types
                    for threshold in listing.limits(chosen, name, BAR_TYPES[name], bars_per_day)
                ]
            )
        }
        today = trades.filter("date = getvariable('unit_date')")
        for listing, day in _days(today, list(wanted)):
            for name, threshold in wanted[listing]:
                yield from bar_tables.threshold_bars(day, name, threshold).to_batches()
            del day  # else it would still be there while the next is read

    return pa.RecordBatchReader.from_batches(bar_tables.SCHEMA, batches())


def vpin_buckets(
    trades: DuckDBPyRelation, thresholds: DuckDBPyRelation, bars_per_day: int, window: int
) -> pa.RecordBatchReader:
    """Return the volume buckets that the trades of the day fill; VPIN is over `window` of them."""
    chosen = _chosen(thresholds)

    def batches() -> Iterator[pa.RecordBatch]:
        wanted = {
            listing: limits
            for listing in _listings(trades)
            if listing.today and (limits := listing.limits(chosen, *VPIN, bars_per_day))
        }
        earlier: dict[tuple[Listing, Decimal], Filled] = {}
        for listing, day in _days(trades.filter("date < getvariable('unit_date')"), list(wanted)):
            for threshold in wanted[listing]:
                earlier[listing, threshold] = filled(day, threshold, window)
            del day
        for listing, day in _days(trades.filter("date = getvariable('unit_date')"), list(wanted)):
            for threshold in wanted[listing]:
                before = earlier.pop((listing, threshold), None)
                yield from bucket_table(day, threshold, window, before).to_batches()
            del day

    return pa.RecordBatchReader.from_batches(bucket_tables.SCHEMA, batches())


def bucket_volume(
    trades: DuckDBPyRelation, thresholds: DuckDBPyRelation, bars_per_day: int
) -> Decimal | None:
    """Return how much fills a bucket of `vpin_buckets` of the one symbol that `trades` has.

    The smallest where several are chosen, None where there are no such buckets.
    """
    chosen = _chosen(thresholds)
    return min(
        (
            threshold
            for listing in _listings(trades)
            for threshold in listing.limits(chosen, *VPIN, bars_per_day)
        ),
        default=None,
    )


def _chosen(thresholds: DuckDBPyRelation) -> Thresholds:
    return Thresholds(thresholds.project("exchange, symbol, bar_type, threshold").fetchall())


def _totals(trades: DuckDBPyRelation) -> list[tuple[Any, ...]]:
    """Return the totals of each symbol and day that can be added up."""
    real, keys = trades.filter(REAL), "exchange, symbol, date"
    try:
        rows = real.aggregate(f"{TOTALS}, {TOO_LARGE}", keys).fetchall()
    except (OutOfRangeException, ConversionException):
        large = f"select {keys} from unit_trades group by {keys} having {TOO_LARGE}"
        totals = f"select {TOTALS}, false from unit_trades anti join ({large}) using ({keys})"
        rows = real.query("unit_trades", f"{totals} group by {keys}").fetchall()
    return [tuple(totals) for *totals, is_too_large in rows if not is_too_large]


def _listings(trades: DuckDBPyRelation) -> list[Listing]:
    """Return the symbols, in order, without days that add up to more than bars hold."""
    rows = _totals(trades)
    today = {
        (exchange, symbol): (date, volume)
        for exchange, symbol, date, is_today, _, volume, *_ in rows
        if is_today
    }
    yesterday = {
        (exchange, symbol): Totals(*totals)
        for exchange, symbol, _, is_today, *totals in rows
        if not is_today
    }
    return [
        Listing(*names, date, yesterday.get(names), volume)
        for names in sorted({(exchange, symbol) for exchange, symbol, *_ in rows})
        for date, volume in [today.get(names, (None, Decimal(0)))]
    ]


def _days(trades: DuckDBPyRelation, listings: Sequence[Listing]) -> Iterator[tuple[Listing, Day]]:
    """Yield the trades of some symbols, which are of one day.

    They come by symbol, and in the order of trade_seq. Raises ValueError where that is not so.
    """
    if not listings:
        return
    by_symbol = {listing.symbol: listing for listing in listings}
    # DuckDB makes a join of `in` with many values, which does not keep the order of rows.
    named = ColumnExpression("symbol")
    is_near = named.between(ConstantExpression(min(by_symbol)), ConstantExpression(max(by_symbol)))
    rows = trades.filter(is_near).project(f"symbol, date, {', '.join(COLUMNS)}")
    last = ("", datetime.date.min)
    for key, pieces in groupby(_pieces(rows.to_arrow_reader(BATCH_ROWS)), lambda item: item[0]):
        if key <= last:
            raise ValueError(f"the trades of {key} come after those of {last}")
        last = key
        symbol, date = key
        if symbol not in by_symbol:
            continue
        batches = (batch for _, batch in pieces)
        yield by_symbol[symbol], read_day(by_symbol[symbol].exchange, symbol, date, batches)


def _pieces(
    reader: pa.RecordBatchReader,
) -> Iterator[tuple[tuple[str, datetime.date], pa.RecordBatch]]:
    """Cut batches where the symbol or the date changes."""
    for batch in filter(len, reader):
        changes = pc.or_(
            *(pc.not_equal(batch[name][1:], batch[name][:-1]) for name in ("symbol", "date"))
        )
        cuts = [0, *(np.flatnonzero(changes) + 1).tolist(), batch.num_rows]
        for begin, end in pairwise(cuts):
            key = batch["symbol"][begin].as_py(), batch["date"][begin].as_py()
            yield key, batch.slice(begin, end - begin).select(COLUMNS)
