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
