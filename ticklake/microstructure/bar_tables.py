"""Trades of a day to tables of threshold bars: the columns of `bars.volume_bars` and its like."""

import datetime
from collections.abc import Iterable, Mapping, Sequence
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
from ticklake.microstructure.exact import (
    Integers,
    Scaled,
    decimals_of,
    fitting,
    joined,
    rounded_up,
    scaled,
    to_decimal,
)
from ticklake.microstructure.trades import real, signs
from ticklake.microstructure.windows import Ints

Measure = Literal["tick", "volume", "dollar"]
"""What a trade adds to a bar: 1, its size or its notional."""

TIME: Final = pa.timestamp("us", tz="UTC")
DECIMAL: Final = pa.decimal128(38, 12)
NOTIONAL: Final = pa.decimal128(38, 24)
MOST_PARTS: Final = 2_000_000
"""Parts that the volume of a symbol and day may be cut in: more is a mistake, and much memory."""
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
    date: datetime.date
    ts_event: Ints
    ts_known: Ints
    """When each trade was known: of receipt where there is one, and never before an earlier one."""
    price: Scaled
    size: Scaled
    sign: Any

    @property
    def end_us(self) -> int:
        """The first microsecond after the day."""
        return int(self.date.toordinal() - _EPOCH + 1) * DAY_US

    def keys(self, count: int) -> list[pa.Array]:
        """Return the columns exchange, date and symbol of so many rows."""
        day = pa.scalar(self.date, pa.date32())
        return [pa.repeat(value, count) for value in (self.exchange, day, self.symbol)]

    def trades(self, decimals: int) -> tuple[Trades, int]:
        """Return the trades with sizes of at least so many decimals, and how many they have."""
        size = self.size.to(max(decimals, self.size.decimals))
        return Trades(self.price.values, size.values, self.sign), size.decimals


def read_day(
    exchange: str, symbol: str, date: datetime.date, batches: Iterable[pa.RecordBatch]
) -> Day:
    """Read the trades of one symbol and day, which come by `trade_seq`.

    Prints with price 0 or size 0 are in no bar, as in the candles of exchanges. A batch at a time
    becomes whole numbers, so that the decimals of a long day are never all in memory.
    """
    ts_event: list[Ints] = [np.zeros(0, np.int64)]
    ts_known: list[Ints] = [np.zeros(0, np.int64)]
    sign: list[Any] = [np.zeros(0, np.int8)]
    price: list[Scaled] = []
    size: list[Scaled] = []
    last = 0
    for batch in batches:
        rows = real(pa.Table.from_batches([batch]))
        sequence = np.append(last, rows["trade_seq"].to_numpy())
        if (sequence[1:] <= sequence[:-1]).any():
            raise ValueError(f"the trades of {symbol} on {date} are not in the order of trade_seq")
        last = sequence[-1]
        known = pc.coalesce(rows["ts_capture"], rows["ts_event"])
        ts_event.append(rows["ts_event"].cast(pa.int64()).to_numpy())
        ts_known.append(known.cast(pa.int64()).to_numpy())
        sign.append(signs(rows))
        price.append(scaled(rows["price"]))
        size.append(scaled(rows["size"]))
    return Day(
        exchange=exchange,
        symbol=symbol,
        date=date,
        ts_event=_taken(ts_event),
        ts_known=np.maximum.accumulate(_taken(ts_known)),
        price=joined(price),
        size=joined(size),
        sign=_taken(sign),
    )


def _taken(parts: list[Any]) -> Any:
    """Join arrays and forget the parts: of a long day one column at most is there twice."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def threshold_bars(day: Day, name: str, threshold: Decimal) -> pa.Table:
    """Return the bars of one type and threshold, in order. Raises KeyError for an unknown type."""
    kind = BAR_TYPES[name]
    places = decimals_of(threshold) if kind.measure == "volume" else 0
    trades, decimals = day.trades(places)
    units = {"tick": 0, "volume": decimals, "dollar": decimals + day.price.decimals}[kind.measure]
    limit = rounded_up(threshold, units)  # whole units reach it when they reach the next of them
    if kind.is_split:
        refuse_flood(day, trades.size, limit, threshold)
        bars = split_bars(trades, limit)
    else:
        amount = _amounts(trades, kind.measure)
        closing = closing_trades(amount, trades.sign, limit, kind.rule)
        bars = whole_bars(trades, closing)
    return _table(day, bars, name, threshold, decimals)


def refuse_flood(day: Day, size: Integers, limit: int, threshold: Decimal) -> None:
    """Raise ValueError where a threshold would cut the volume of a day into millions of parts."""
    count = int(fitting(size).sum()) // limit
    if count > MOST_PARTS:
        raise ValueError(
            f"a threshold of {threshold.normalize():f} cuts the volume of {day.symbol} on "
            f"{day.date} into {count:,} parts; choose a larger one in seeds/bar_thresholds.csv"
        )


def _amounts(trades: Trades, measure: Measure) -> Integers:
    if measure == "tick":
        return np.ones(len(trades.size), np.int64)
    return trades.size if measure == "volume" else trades.notional


def _table(day: Day, bars: Bars, name: str, threshold: Decimal, decimals: int) -> pa.Table:
    count = len(bars.first)
    volume = to_decimal(bars.volume, decimals)
    notional = to_decimal(bars.notional, decimals + day.price.decimals, NOTIONAL)
    # Rounding must not lead out of the range: a bar of one price has that price.
    vwap = np.clip(
        pc.divide(notional.cast(pa.float64()), volume.cast(pa.float64())).to_numpy(),
        day.price.as_floats(bars.low),
        day.price.as_floats(bars.high),
    )
    known = day.ts_known[bars.last]
    # An open bar is known to end with the day, not with its last trade.
    known = np.where(bars.is_complete, known, np.maximum(day.end_us, known))
    columns: list[Any] = [
        *day.keys(count),
        pa.repeat(name, count),
        pa.repeat(pa.scalar(threshold, DECIMAL), count),
        np.arange(1, count + 1),
        instants(day.ts_event[bars.first]),
        instants(day.ts_event[bars.last]),
        instants(known),
        *(to_decimal(getattr(bars, item), day.price.decimals) for item in _PRICES),
        volume,
        to_decimal(bars.buy_volume, decimals),
        to_decimal(bars.sell_volume, decimals),
        notional,
        vwap,
        bars.trade_count,
        bars.is_complete,
    ]
    return pa.table(columns, schema=SCHEMA)


_PRICES: Final[Sequence[str]] = ("open", "high", "low", "close")
_EPOCH: Final = 719_163


def instants(micros: Ints) -> pa.Array:
    """Return microseconds since 1970 as instants."""
    return pa.array(micros).cast(TIME)
