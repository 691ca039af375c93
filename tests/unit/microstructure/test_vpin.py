"""Buckets and VPIN against a walk through the trades with exact fractions."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.exact import STORED, scaled, to_decimal
from ticklake.microstructure.vpin import as_of, volume_buckets, vpin

SIGNS = {"buy": 1, "sell": -1, None: 0}
trades_lists = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 40), st.integers(0, 10**7)),
        st.sampled_from(["buy", "sell", None]),
    ),
    max_size=60,
)


def walked(
    trades: list[tuple[int, str | None]], bucket: int
) -> list[tuple[int, int, Fraction, Fraction]]:
    """Return first trade, last trade, bought and sold volume of each complete bucket."""
    buckets = []
    first, buy, sell = None, Fraction(0), Fraction(0)
    for number, (size, side) in enumerate(trades):
        left = Fraction(size)
        while left:
            first = number if first is None else first
            part = min(left, bucket - buy - sell)
            left -= part
            buy += part * {"buy": 1, "sell": 0, None: Fraction(1, 2)}[side]
            sell += part * {"buy": 0, "sell": 1, None: Fraction(1, 2)}[side]
            if buy + sell == bucket:
                buckets.append((first, number, buy, sell))
                first, buy, sell = None, Fraction(0), Fraction(0)
    return buckets


def arrays(trades: list[tuple[int, str | None]]) -> tuple[np.ndarray, np.ndarray]:
    sizes = np.array([size for size, _ in trades], np.int64)
    return sizes, np.array([SIGNS[side] for _, side in trades], np.int8)


@given(trades_lists, st.integers(1, 50), st.booleans())
def test_buckets_are_those_of_a_walk(
    trades: list[tuple[int, str | None]], bucket: int, wide: bool
) -> None:
    if sum(size for size, _ in trades) // bucket > 10_000:
        bucket = 10**6
    sizes, signs = arrays(trades)
    found = volume_buckets(sizes.astype(object) if wide else sizes, signs, bucket)
    assert [
        (int(first), int(last), Fraction(int(buy), 2), Fraction(int(sell), 2))
        for first, last, buy, sell in zip(
            found.first_trade, found.last_trade, found.twice_buy, found.twice_sell, strict=True
        )
    ] == walked(trades, bucket)


@given(trades_lists, trades_lists, st.integers(1, 30), st.integers(1, 6))
def test_vpin_is_the_mean_over_the_last_buckets_of_two_days(
    yesterday: list[tuple[int, str | None]],
    today: list[tuple[int, str | None]],
    bucket: int,
    count: int,
) -> None:
    small = [[(size % 97, side) for size, side in day] for day in (yesterday, today)]
    both = [walked(day, bucket) for day in small]
    kernels = [volume_buckets(*arrays(day), bucket) for day in small]
    found = vpin(kernels[1].twice_imbalance, bucket, kernels[0].twice_imbalance, count)
    shares = [abs(buy - sell) / bucket for day in both for *_, buy, sell in day]
    for number, value in enumerate(found, len(both[0]) + 1):
        window = shares[max(0, number - count) : number]
        if number < count:
            assert np.isnan(value)
        else:
            assert value == pytest.approx(float(sum(window) / count), rel=1e-12, abs=1e-15)


def test_ten_trades_of_a_tenth_fill_a_bucket_of_one() -> None:
    sizes = scaled(pa.array([Decimal("0.1")] * 10, STORED))
    assert (sizes.decimals, list(sizes.values)) == (1, [1] * 10)
    found = volume_buckets(sizes.values, np.ones(10, np.int8), sizes.of(Decimal(1)))
    assert list(found.last_trade) == [9]


def test_a_row_sees_buckets_completed_at_its_time_and_not_later() -> None:
    seen = as_of(np.array([1, 5, 6]), np.array([5, 5, 7]), np.array([0.1, 0.2, 0.3]))
    assert np.isnan(seen[0])
    assert list(seen[1:]) == [0.2, 0.2]


def test_a_bucket_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="more than nothing"):
        volume_buckets(np.array([1]), np.array([1], np.int8), 0)


@given(st.lists(st.decimals(-(10**25), 10**25, places=12, allow_nan=False)))
def test_decimals_survive_scaling(numbers: list[Decimal]) -> None:
    exact = scaled(pa.array(numbers, STORED))
    assert to_decimal(exact.values, exact.decimals).to_pylist() == numbers


@given(st.lists(st.decimals(-(10**5), 10**5, places=3, allow_nan=False)), st.integers(3, 12))
def test_units_can_be_made_small_enough_for_a_threshold(
    numbers: list[Decimal], decimals: int
) -> None:
    exact = scaled(pa.array(numbers, STORED), at_least=decimals)
    assert exact.decimals >= decimals
    assert exact.values.dtype == np.int64
    assert [Decimal(int(value)).scaleb(-exact.decimals) for value in exact.values] == numbers


def test_large_numbers_of_few_decimals_stay_in_64_bits() -> None:
    numbers = [Decimal("25000000.5"), Decimal("99999999999.25"), Decimal(3)]
    exact = scaled(pa.array(numbers, STORED))
    assert (exact.decimals, exact.values.dtype) == (2, np.int64)
    assert to_decimal(exact.values, exact.decimals).to_pylist() == numbers
