"""Trades of a day to tables of threshold bars: the columns of `bars.volume_bars` and its like."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.microstructure.bars import (
    Bars,
    Rule,
    Trades,
    closing_trades,
    split_bars,
    whole_bars,
)
from ticklake.microstructure.exact import Integers, Scaled, scaled, to_decimal
from ticklake.microstructure.trades import signs
from ticklake.microstructure.windows import Ints

Measure = Literal["tick", "volume", "dollar"]
"""What a trade adds to a bar: 1, its size or its notional."""

TIME: Final = pa.timestamp("us", tz="UTC")
DECIMAL: Final = pa.decimal128(38, 12)
NOTIONAL: Final = pa.decimal128(38, 24)
DAY_US: Final = 86_400_000_000

SCHEMA: Final = pa.schema(
    [
        ("exchange", pa.string()),
        ("date", pa.date32()),
        ("symbol", pa.string()),
        ("bar_type", pa.string()),
        ("threshold", DECIMAL),
        ("bar_seq", pa.int64()),
        ("ts_open", TIME),
        ("ts_close", TIME),
        ("ts_available", TIME),
        ("open", DECIMAL),
        ("high", DECIMAL),
        ("low", DECIMAL),
        ("close", DECIMAL),
        ("volume", DECIMAL),
        ("buy_volume", DECIMAL),
        ("sell_volume", DECIMAL),
        ("notional", NOTIONAL),
        ("vwap", pa.float64()),
        ("trade_count", pa.int64()),
        ("is_complete", pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True)
class BarType:
    """How the bars of a type close."""

    measure: Measure
    rule: Rule = "sum"
    is_split: bool = False


BAR_TYPES: Final[Mapping[str, BarType]] = {
    "tick": BarType("tick"),
    "volume": BarType("volume"),
    "volume_split": BarType("volume", is_split=True),
    "dollar": BarType("dollar"),
    "tick_imbalance": BarType("tick", "imbalance"),
    "volume_imbalance": BarType("volume", "imbalance"),
    "dollar_imbalance": BarType("dollar", "imbalance"),
    "tick_run": BarType("tick", "run"),
    "volume_run": BarType("volume", "run"),
    "dollar_run": BarType("dollar", "run"),
}


@dataclass(frozen=True, slots=True)
class Day:
    """The trades of one symbol and day that bars are made of, in the order of the exchange."""

    exchange: str
    symbol: str
    date: Any
    ts_event: Ints
    ts_known: Ints
    """When each trade was known: of receipt where there is one, and never before an earlier one."""
    price: Scaled
    size: Scaled
    sign: Any

    def trades(self, decimals: int) -> tuple[Trades, int]:
        """Return the trades with sizes of at least so many decimals, and how many they have."""
        size = self.size.to(max(decimals, self.size.decimals))
        return Trades(self.price.values, size.values, self.sign), size.decimals


def read_days(trades: pa.Table) -> Iterator[Day]:
    """Yield each symbol of a table of trades that is sorted by symbol and `trade_seq`.

    Prints without a price or a size are no trades to a bar, as exchanges have it.
    """
    real = pc.and_(pc.greater(trades["price"], 0), pc.greater(trades["size"], 0))
    trades = trades.filter(real)
    if not trades.num_rows:
        return
    symbol = trades["symbol"].combine_chunks().dictionary_encode()
    codes = symbol.indices.to_numpy()
    borders = np.concatenate([[0], np.flatnonzero(np.diff(codes)) + 1, [len(codes)]])
    for begin, end in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        rows = trades.slice(begin, end - begin)
        known = pc.coalesce(rows["ts_capture"], rows["ts_event"]).cast(pa.int64()).to_numpy()
        yield Day(
            exchange=rows["exchange"][0].as_py(),
            symbol=rows["symbol"][0].as_py(),
            date=rows["date"][0].as_py(),
            ts_event=rows["ts_event"].cast(pa.int64()).to_numpy(),
            ts_known=np.maximum.accumulate(known),
            price=scaled(rows["price"]),
            size=scaled(rows["size"]),
            sign=signs(rows),
        )


def threshold_bars(day: Day, name: str, threshold: Decimal) -> pa.Table:
    """Return the bars of one type and threshold, in order. Raises KeyError for an unknown type."""
    kind = BAR_TYPES[name]
    places = max(0, -int(threshold.normalize().as_tuple().exponent))
    trades, decimals = day.trades(places if kind.measure == "volume" else 0)
    units = {"tick": 0, "volume": decimals, "dollar": decimals + day.price.decimals}[kind.measure]
    # Whole units are reached when the threshold is, so one between two of them is rounded up.
    limit = int(threshold.scaleb(units).to_integral_value("ROUND_CEILING"))
    if kind.is_split:
        bars = split_bars(trades, limit)
    else:
        amount = _amounts(trades, kind.measure)
        closing = closing_trades(amount, trades.sign, limit, kind.rule)
        bars = whole_bars(trades, closing)
    return _table(day, bars, name, threshold, decimals)


def _amounts(trades: Trades, measure: Measure) -> Integers:
    if measure == "tick":
        return np.ones(len(trades.size), np.int64)
    return trades.size if measure == "volume" else trades.notional


def _table(day: Day, bars: Bars, name: str, threshold: Decimal, decimals: int) -> pa.Table:
    count = len(bars.first)
    volume = to_decimal(bars.volume, decimals)
    notional = to_decimal(bars.notional, decimals + day.price.decimals, NOTIONAL)
    # An open bar is known to end with the day, not with its last trade.
    midnight = (day.date.toordinal() - _EPOCH + 1) * DAY_US
    known = np.where(
        bars.is_complete, day.ts_known[bars.last], np.maximum(midnight, day.ts_known[bars.last])
    )
    columns: list[Any] = [
        pa.repeat(day.exchange, count),
        pa.repeat(pa.scalar(day.date, pa.date32()), count),
        pa.repeat(day.symbol, count),
        pa.repeat(name, count),
        pa.repeat(pa.scalar(threshold, DECIMAL), count),
        np.arange(1, count + 1),
        _instants(day.ts_event[bars.first]),
        _instants(day.ts_event[bars.last]),
        _instants(np.maximum(known, day.ts_known[bars.last])),
        *(to_decimal(getattr(bars, item), day.price.decimals) for item in _PRICES),
        volume,
        to_decimal(bars.buy_volume, decimals),
        to_decimal(bars.sell_volume, decimals),
        notional,
        pc.divide(notional.cast(pa.float64()), volume.cast(pa.float64())),
        bars.trade_count,
        bars.is_complete,
    ]
    return pa.table(columns, schema=SCHEMA)


_PRICES: Final[Sequence[str]] = ("open", "high", "low", "close")
_EPOCH: Final = 719_163


def _instants(micros: Ints) -> pa.Array:
    return pa.array(micros).cast(TIME)
