"""Odd values are counted and named, and stay."""

import re

import pytest

from tests.integration.odd.conftest import OddLake
from tests.integration.odd.sources_unusual import EXCHANGE

WARNINGS = {
    "trades": "trades_have_a_price_and_a_size",
    "tickers": "tickers_are_not_negative",
    "mark_prices": "mark_prices_are_positive",
    "funding_rates": "funding_rates_are_fractions_of_an_interval",
    "klines": "klines_are_consistent",
}


def test_odd_values_are_counted_per_table_symbol_and_day(odd: OddLake) -> None:
    rows = odd.query(
        f"select table_name, row_count, odd_count from marts.quality where exchange = '{EXCHANGE}'"
    )
    assert sorted(rows) == [
        ("funding_rates", 2, 1), ("mark_prices", 2, 1), ("tickers", 4, 1), ("trades", 3, 2),
    ]  # fmt: skip


def test_odd_candles_are_counted_per_symbol_interval_and_month(odd: OddLake) -> None:
    rows = odd.query(
        "select symbol, interval, month, row_count, duplicate_count, conflict_count, "
        "inconsistent_count, idle_count from marts.kline_quality "
        f"where exchange = '{EXCHANGE}'"
    )
    assert rows == [("S", "1m", "2025-01", 3, 1, 0, 1, 1)]


@pytest.mark.parametrize("table", WARNINGS)
def test_counts_are_those_of_the_warning(odd: OddLake, table: str) -> None:
    query = f"select sum(odd_count) from marts.quality where table_name = '{table}'"
    if table == "klines":
        query = "select sum(inconsistent_count) from marts.kline_quality"
    ((counted,),) = odd.query(query)
    found = re.search(rf"WARN (\d+) {WARNINGS[table]} ", odd.build)
    assert found
    assert int(found[1]) == counted
