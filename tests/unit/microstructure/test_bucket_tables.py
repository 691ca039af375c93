"""The table of volume buckets against a walk through the trades of two days."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.microstructure.test_bar_tables import DAY, MIDNIGHT, table
from ticklake.microstructure.bar_tables import Day, read_day
from ticklake.microstructure.bucket_tables import SCHEMA, bucket_table, filled

Trades = list[tuple[Decimal, Decimal, str | None]]
WINDOW = 4
BOUGHT = {"buy": Fraction(1), "sell": Fraction(0), None: Fraction(1, 2)}


def trade_lists(places: int) -> st.SearchStrategy[Trades]:
    sizes = st.decimals("0.01", "30", places=places)
    sides = st.sampled_from(["buy", "sell", None])
    return st.lists(st.tuples(st.just(Decimal(5)), sizes, sides), max_size=30)


def day_of(trades: Trades, day: date = DAY) -> Day:
    return read_day("binance", "A", day, table(trades).to_batches() if trades else [])


def walked(trades: Trades, bucket: Fraction) -> list[tuple[int, int, Fraction, Fraction]]:
    """Return first and last trade, bought and sold volume of each complete bucket."""
    buckets, parts, room = [], [], bucket
    for number, (_, size, side) in enumerate(trades):
        left = Fraction(size)
        while left:
            part = min(left, room)
            parts.append((number, part, BOUGHT[side]))
            left, room = left - part, room - part
            if not room:
                bought = sum((part * share for _, part, share in parts), Fraction(0))
                buckets.append((parts[0][0], parts[-1][0], bought, bucket - bought))
                parts, room = [], bucket
    return buckets


@given(trade_lists(2), trade_lists(3), st.decimals("1", "9", places=4))
def test_buckets_and_vpin_are_those_of_a_walk(
    yesterday: Trades, today: Trades, threshold: Decimal
) -> None:
    earlier = filled(day_of(yesterday, DAY - timedelta(days=1)), threshold, WINDOW)
    rows = bucket_table(day_of(today), threshold, WINDOW, earlier)
    assert rows.schema == SCHEMA
    before, after = (walked(day, Fraction(threshold)) for day in (yesterday, today))
    shares = [abs(buy - sell) / Fraction(threshold) for *_, buy, sell in before + after]
    assert len(rows) == len(after)
    for number, (row, (first, last, buy, sell)) in enumerate(
        zip(rows.to_pylist(), after, strict=True), 1
    ):
        assert row["bar_seq"] == number
        assert (Fraction(row["buy_volume"]), Fraction(row["sell_volume"])) == (buy, sell)
        assert row["volume"] == row["threshold"] == threshold
        assert row["ts_open"] == MIDNIGHT + timedelta(seconds=first)
        assert row["ts_close"] == MIDNIGHT + timedelta(seconds=last)
        # The trades of both days begin at one time: those of the day before are received late.
        known = max(last, before[-1][1] if before else 0)
        assert row["ts_available"] == MIDNIGHT + timedelta(seconds=known + 7)
        window = shares[: len(before) + number][-WINDOW:]
        if len(window) < WINDOW:
            assert row["vpin"] is None
        else:
            assert row["vpin"] == pytest.approx(float(sum(window) / WINDOW), rel=1e-12, abs=1e-15)


def test_half_of_the_smallest_size_is_exact() -> None:
    smallest = Decimal("0.000000000001")
    (row,) = bucket_table(day_of([(Decimal(1), smallest, None)]), smallest, WINDOW).to_pylist()
    assert row["buy_volume"] == row["sell_volume"] == Decimal("0.0000000000005")
