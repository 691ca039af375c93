"""Bars against those of NautilusTrader, where it is installed: docs/bars.md says what differs.

It is no dependency of ours: `pip install nautilus_trader==1.221.0` beside it to run this.
"""

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ticklake.microstructure.bar_tables import TIME, Day, read_day, threshold_bars
from ticklake.microstructure.exact import STORED

pytest.importorskip("nautilus_trader")

from nautilus_trader.data.aggregation import (
    TickBarAggregator,
    VolumeBarAggregator,
)
from nautilus_trader.model.data import BarSpecification, BarType, TradeTick
from nautilus_trader.model.enums import AggressorSide, BarAggregation, PriceType
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.objects import Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider

INSTRUMENT = TestInstrumentProvider.btcusdt_binance()  # prices of 2 decimals, sizes of 6
AGGREGATORS = {
    "tick": (BarAggregation.TICK, TickBarAggregator),
    "volume_split": (BarAggregation.VOLUME, VolumeBarAggregator),
}
Bar = tuple[Decimal, Decimal, Decimal, Decimal, Decimal]


def generated(count: int, seed: int = 1) -> tuple[list[int], list[int]]:
    """Return prices in cents and sizes in millionths, a few of them large."""
    rng = np.random.default_rng(seed)
    prices = 5_000_000 + np.cumsum(rng.integers(-20, 21, count)) * 10
    sizes = np.maximum(1, (rng.pareto(1.3, count) * 100_000).astype(np.int64))
    return prices.tolist(), np.minimum(sizes, 50_000_000).tolist()


def nautilus(prices: list[int], sizes: list[int], name: str, step: int) -> list[Bar]:
    kind, aggregator = AGGREGATORS[name]
    bars: list[Any] = []
    bar_type = BarType(INSTRUMENT.id, BarSpecification(step, kind, PriceType.LAST))
    building = aggregator(INSTRUMENT, bar_type, bars.append)
    for number, (price, size) in enumerate(zip(prices, sizes, strict=True)):
        building.handle_trade_tick(
            TradeTick(
                INSTRUMENT.id,
                Price.from_str(f"{Decimal(price).scaleb(-2):f}"),
                Quantity.from_str(f"{Decimal(size).scaleb(-6):f}"),
                AggressorSide.BUYER,
                TradeId(str(number)),
                number,
                number,
            )
        )
    return [
        tuple(item.as_decimal() for item in (bar.open, bar.high, bar.low, bar.close, bar.volume))
        for bar in bars
    ]


def day_of(prices: list[int], sizes: list[int]) -> Day:
    times = pa.array(np.arange(len(prices))).cast(TIME)
    columns = {
        "trade_seq": np.arange(1, len(prices) + 1),
        "ts_event": times,
        "ts_capture": times,
        "price": pa.array([Decimal(price).scaleb(-2) for price in prices], STORED),
        "size": pa.array([Decimal(size).scaleb(-6) for size in sizes], STORED),
        "side": ["buy"] * len(prices),
    }
    return read_day("binance", "BTCUSDT", date(1970, 1, 1), pa.table(columns).to_batches())


def ours(prices: list[int], sizes: list[int], name: str, step: int) -> list[Bar]:
    """Return the complete bars: theirs has no open one."""
    table = threshold_bars(day_of(prices, sizes), name, Decimal(step)).to_pylist()
    names = ("open", "high", "low", "close", "volume")
    return [tuple(bar[name] for name in names) for bar in table if bar["is_complete"]]


@pytest.mark.parametrize("step", [1, 7, 100])
def test_tick_bars_are_theirs(step: int) -> None:
    trades = generated(3_000)
    assert ours(*trades, "tick", step) == nautilus(*trades, "tick", step)


@pytest.mark.parametrize("step", [1, 7, 40])
def test_split_volume_bars_are_theirs(step: int) -> None:
    trades = generated(3_000)
    assert ours(*trades, "volume_split", step) == nautilus(*trades, "volume_split", step)
