"""What holds for bars and buckets of every type, from decimals to tables."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.microstructure.test_bar_tables import DAY, MIDNIGHT, TIME, table
from ticklake.microstructure.bar_tables import BAR_TYPES, Day, read_day, threshold_bars
from ticklake.microstructure.bucket_tables import bucket_table

Trade = tuple[Any, Any, str | None]  # price, size, side
WHOLE = sorted(name for name, kind in BAR_TYPES.items() if not kind.is_split)
EVERY = [*sorted(BAR_TYPES), "vpin"]
SIDES = st.sampled_from(["buy", "sell", None])


def day_of(rows: pa.Table) -> Day:
    return read_day("binance", "A", DAY, rows.to_batches())


def bars_of(rows: pa.Table, name: str, threshold: str) -> list[dict[str, Any]]:
    """The bars of a type; of `vpin` the buckets, complete ones only."""
    day, limit = day_of(rows), Decimal(threshold)
    made = bucket_table(day, limit, 2) if name == "vpin" else threshold_bars(day, name, limit)
    return made.to_pylist()


def volumes(bars: Sequence[dict[str, Any]]) -> list[Decimal]:
    return [bar["volume"] for bar in bars]


@given(
    st.lists(st.tuples(st.integers(1, 999), SIDES), max_size=30),
    st.sampled_from(WHOLE),
    st.one_of(st.integers(1, 6), st.integers(1, 2**20)),
)
def test_every_trade_is_in_exactly_one_bar(
    drawn: list[tuple[int, str | None]], name: str, threshold: int
) -> None:
    # Sizes are powers of 2, so that the volume of a bar says which trades are in it.
    trades = [(price, 2**number, side) for number, (price, side) in enumerate(drawn)]
    held = [
        [number for number in range(len(trades)) if int(volume) >> number & 1]
        for volume in volumes(bars_of(table(trades), name, str(threshold)))
    ]
    assert all(held)
    assert [number for bar in held for number in bar] == list(range(len(trades)))


@pytest.mark.parametrize(
    ("name", "threshold"),
    [
        *((name, "1") for name in EVERY if name.startswith("volume") or name == "vpin"),
        *((name, "10") for name in EVERY if name.startswith(("tick", "dollar"))),
    ],
)
def test_ten_trades_of_a_tenth_fill_a_bar_of_one(name: str, threshold: str) -> None:
    bars = bars_of(table([("10", "0.1", "buy")] * 20), name, threshold)
    assert volumes(bars) == [1, 1]
    assert all(bar.get("is_complete", True) for bar in bars)


@pytest.mark.parametrize("name", EVERY)
def test_the_trade_after_the_one_that_reaches_a_threshold_exactly_is_in_the_next_bar(
    name: str,
) -> None:
    bars = bars_of(table([("1", "1", "sell")] * 7), name, "3")
    complete = [bar for bar in bars if bar.get("is_complete", True)]
    assert volumes(complete) == [3, 3]
    assert [bar["ts_open"] for bar in complete] == [
        MIDNIGHT + timedelta(seconds=second) for second in (0, 3)
    ]
    assert [bar["ts_close"] for bar in complete] == [
        MIDNIGHT + timedelta(seconds=second) for second in (2, 5)
    ]
    assert volumes(bars[2:]) == ([] if name == "vpin" else [1])


GIANT: list[Trade] = [("5", "0.1", "sell"), ("7", "1000.05", "buy"), ("6", "0.2", "sell")]


@pytest.mark.parametrize("name", ["volume_split", "vpin"])
def test_a_giant_trade_fills_every_bucket_it_spans(name: str) -> None:
    buckets = [bar for bar in bars_of(table(GIANT), name, "0.3") if bar.get("is_complete", True)]
    assert len(buckets) == 3334  # 1000.35 / 0.3 = 3,334.5
    first, *within, last = buckets
    at = MIDNIGHT + timedelta(seconds=1)
    assert (first["buy_volume"], first["sell_volume"]) == (Decimal("0.2"), Decimal("0.1"))
    assert {(bar["ts_open"], bar["ts_close"], bar["buy_volume"]) for bar in within} == {
        (at, at, Decimal("0.3"))
    }
    # 1000.15 until its end is 3,333 buckets and 0.25.
    assert (last["buy_volume"], last["sell_volume"]) == (Decimal("0.25"), Decimal("0.05"))
    assert [bar["bar_seq"] for bar in buckets] == list(range(1, 3335))
    assert {bar["ts_available"] for bar in within} == {at + timedelta(seconds=7)}


def test_the_parts_of_a_giant_trade_add_up_to_it() -> None:
    bars = bars_of(table(GIANT), "volume_split", "0.3")
    assert sum(bar["buy_volume"] for bar in bars) == Decimal("1000.05")
    assert sum(bar["notional"] for bar in bars) == Decimal("7002.05")  # 0.5 + 7000.35 + 1.2
    assert sum(bar["trade_count"] for bar in bars) == 3 + 3334  # cut at the ends of 3,334 bars
    assert not bars[-1]["is_complete"]
    assert bars[-1]["volume"] == Decimal("0.15")


@pytest.mark.parametrize("name", WHOLE)
def test_a_giant_trade_is_in_one_whole_bar(name: str) -> None:
    bars = bars_of(table(GIANT), name, "1")
    assert sum(bar["buy_volume"] > 0 for bar in bars) == 1


@given(
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 9), SIDES), min_size=1, max_size=30),
    st.sampled_from(EVERY),
    st.integers(1, 60),
)
def test_trades_of_one_instant_keep_their_order(
    trades: list[Trade], name: str, threshold: int
) -> None:
    apart = table(trades)
    together = apart
    for column in ("ts_event", "ts_capture"):
        place = together.schema.get_field_index(column)
        moments = pa.array([MIDNIGHT] * len(trades), TIME)
        together = together.set_column(place, column, moments)

    def but_for_times(rows: pa.Table) -> list[dict[str, Any]]:
        return [
            {column: value for column, value in bar.items() if not column.startswith("ts_")}
            for bar in bars_of(rows, name, str(threshold))
        ]

    assert but_for_times(together) == but_for_times(apart)
