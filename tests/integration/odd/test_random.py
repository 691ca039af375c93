"""Random rows of every channel land and never turn a build red."""

import re

import pytest

from tests.integration.odd.conftest import OddLake
from tests.integration.odd.sources_random import CHANNELS, EXCHANGE, ROWS, SYMBOLS


def test_no_random_row_is_an_error_or_keeps_anything_from_being_built(odd: OddLake) -> None:
    assert re.search(r"Done\. PASS=\d+ WARN=\d+ ERROR=0 SKIP=0 ", odd.build)


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_random_row_lands_and_every_symbol_is_compacted(odd: OddLake, channel: str) -> None:
    counted = f"select symbol, count(*) from {{}} where exchange = '{EXCHANGE}' group by symbol"
    landed = dict(odd.query(counted.format(f"raw.{channel}")))
    assert landed == dict.fromkeys(SYMBOLS, ROWS)
    compacted = dict(odd.query(counted.format(f"compacted.{channel}")))
    assert compacted.keys() == landed.keys()
    assert all(0 < compacted[symbol] <= ROWS for symbol in SYMBOLS)


def test_random_fills_are_compacted_and_traded(odd: OddLake) -> None:
    coins = "('RANDOM', '@99', 'x:Y')"
    for table in ("fills", "trades"):
        query = f"select distinct symbol from compacted.{table} where symbol in {coins}"
        assert len(odd.query(query)) == 3


def test_fills_with_equal_ids_and_another_fee_are_kept_and_named(odd: OddLake) -> None:
    (versions,) = odd.query("select count(*) from compacted.fills where version = 2")
    assert versions[0] > 10
    assert re.search(r"assert_fills_with_equal_ids_agree: exchange=hyperliquid, symbol=", odd.build)


def test_a_warning_names_exchange_symbol_day_and_row(odd: OddLake) -> None:
    named = (
        rf"mark_prices_are_positive: exchange={EXCHANGE}, symbol=\S+, date=2025-08-0\d, row_seq="
    )
    assert re.search(named, odd.build)


@pytest.mark.parametrize(
    ("table", "is_odd"),
    [
        ("tickers", "least(bid_price, ask_price, bid_size, ask_size) < 0"),
        ("mark_prices", "mark_price <= 0 or index_price < 0"),
        ("funding_rates", "abs(funding_rate) >= 1 or interval_hours <= 0"),
        ("trades", "price = 0 or size = 0"),
    ],
)
def test_odd_values_are_kept_and_counted(odd: OddLake, table: str, is_odd: str) -> None:
    of_random = f"where exchange = '{EXCHANGE}' group by symbol, date order by all"
    kept = f"select symbol, date, count_if({is_odd}) from compacted.{table} {of_random}"
    counted = f"select symbol, date, sum(odd_count) from marts.quality {of_random}"
    counted = counted.replace("where", f"where table_name = '{table}' and")
    assert odd.query(kept) == odd.query(counted)
    assert sum(row[2] for row in odd.query(kept)) > 0


def test_candles_that_contradict_themselves_are_counted(odd: OddLake) -> None:
    counted = odd.query(
        "select sum(row_count), sum(inconsistent_count), sum(conflict_count), sum(duplicate_count) "
        f"from marts.kline_quality where exchange = '{EXCHANGE}'"
    )
    klines = f"from compacted.klines where exchange = '{EXCHANGE}'"
    (counts,) = odd.query(f"select count(*), sum(conflict_count) {klines}")
    (landed,) = odd.query(f"select count(*) from raw.klines where exchange = '{EXCHANGE}'")
    (odd_ones,) = odd.query(
        f"select count(*) {klines} and (low > least(open, high, close) "
        "or high < greatest(open, close) "
        "or close_time <= open_time or taker_buy_volume > volume or taker_buy_volume < 0 "
        "or taker_buy_quote_volume > quote_volume or taker_buy_quote_volume < 0 or count < 0)"
    )
    assert counted == [(counts[0], odd_ones[0], counts[1], landed[0] - counts[0])]
    assert odd_ones[0] > 0
