"""Which threshold a symbol gets."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.bar_tables import BAR_TYPES
from ticklake.microstructure.thresholds import HALF_DAY_US, Thresholds, Totals, default_threshold

CHOSEN = Thresholds(
    [
        ("*", "*", "tick", Decimal(1000)),
        ("binance", "*", "tick", Decimal(500)),
        ("*", "BTCUSDT", "tick", Decimal(200)),
        ("*", "BTCUSDT", "tick", Decimal(100)),
        ("binance", "BTCUSDT", "tick", Decimal(50)),
        ("*", "BTCUSDT", "volume", Decimal("0.000000000001")),
    ]
)


@pytest.mark.parametrize(
    ("exchange", "symbol", "found"),
    [
        ("binance", "BTCUSDT", [50]),
        ("okx", "BTCUSDT", [100, 200]),
        ("binance", "ETHUSDT", [500]),
        ("okx", "ETHUSDT", [1000]),
    ],
)
def test_the_most_specific_match_counts_with_all_its_thresholds(
    exchange: str, symbol: str, found: list[int]
) -> None:
    assert CHOSEN.of(exchange, symbol, "tick") == found


def test_a_type_that_nothing_is_said_of_has_none() -> None:
    assert CHOSEN.of("binance", "ETHUSDT", "volume") == []


def test_a_threshold_keeps_its_last_digit() -> None:
    assert CHOSEN.of("okx", "BTCUSDT", "volume") == [Decimal("1E-12")]


def totals(count: int, volume: str, notional: str, span_us: int = HALF_DAY_US) -> Totals:
    return Totals(count, Decimal(volume), Decimal(notional), span_us)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tick", "21"),  # 1,001 / 50 = 20.02
        ("volume", "2.47"),  # 123.45 / 50 = 2.469
        ("dollar", "20000.1"),  # 1,000,000.5 / 50 = 20,000.01
        ("tick_run", "11"),  # 1,001 / 100 = 10.01
        ("volume_run", "1.24"),  # 123.45 / 100 = 1.2345
        ("tick_imbalance", "5"),  # sqrt(1,001 / 50) = 4.47
        ("volume_imbalance", "0.56"),  # 123.45 / sqrt(1,001 * 50) = 0.5518
    ],
)
def test_the_day_before_gives_a_threshold(name: str, expected: str) -> None:
    yesterday = totals(1_001, "123.450000000000", "1000000.500000000000000000000000")
    assert default_threshold(BAR_TYPES[name], yesterday, 50) == Decimal(expected)


@given(
    st.integers(1, 10**9),
    st.decimals("0.000000000001", 10**12, places=12),
    st.integers(1, 10**4),
    st.sampled_from(sorted(BAR_TYPES)),
)
def test_a_default_is_the_least_that_is_enough(
    count: int, volume: Decimal, bars: int, name: str
) -> None:
    kind = BAR_TYPES[name]
    if kind.measure == "dollar":
        return
    found = default_threshold(kind, totals(count, str(volume), "1"), bars)
    if found is None:
        assert count < bars
        return
    total = Fraction(count) if kind.measure == "tick" else Fraction(volume)
    unit = Fraction(1, 10 ** max(0, -int(found.as_tuple().exponent)))

    def is_enough(threshold: Fraction) -> bool:
        if kind.rule == "imbalance":
            return threshold**2 * count * bars >= total**2
        return threshold * bars * (2 if kind.rule == "run" else 1) >= total

    assert is_enough(Fraction(found))
    assert not is_enough(Fraction(found) - unit)


def test_a_notional_of_24_decimals_gives_a_threshold_of_12() -> None:
    yesterday = totals(1, "1", "0.000000000000000000000001")
    assert default_threshold(BAR_TYPES["dollar"], yesterday, 1) == Decimal("1E-12")


def test_a_day_that_began_late_gives_none() -> None:
    assert default_threshold(BAR_TYPES["tick"], totals(9, "9", "9", HALF_DAY_US - 1), 9) is None
    assert default_threshold(BAR_TYPES["tick"], totals(9, "9", "9", HALF_DAY_US), 9) == 1


def test_a_day_of_fewer_trades_than_bars_gives_none() -> None:
    assert default_threshold(BAR_TYPES["tick"], totals(9, "9", "9"), 10) is None


def test_no_bars_a_day_is_no_rule() -> None:
    with pytest.raises(ValueError, match="bars_per_day"):
        default_threshold(BAR_TYPES["tick"], totals(9, "9", "9"), 0)
