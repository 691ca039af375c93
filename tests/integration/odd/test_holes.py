"""Every hole is in `marts.gaps`, however long, and nothing that is whole has one."""

from datetime import UTC, datetime
from typing import Any

from tests.integration.odd.conftest import OddLake
from tests.integration.odd.sources_holes import EXCHANGE


def gaps(odd: OddLake, symbol: str, kind: str) -> list[tuple[Any, ...]]:
    return odd.query(
        "select table_name, ts_from, ts_to, amount from marts.gaps "
        f"where exchange = '{EXCHANGE}' and symbol = '{symbol}' and kind = '{kind}' order by all"
    )


def march(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2025, 3, day, hour, minute, second, tzinfo=UTC)


def test_minutes_without_a_trade_are_no_missing_candles_until_they_are_a_day(
    odd: OddLake,
) -> None:
    sparse = f"select is_sparse from marts.kline_spans where exchange = '{EXCHANGE}'"
    assert odd.query(sparse) == [(True,)]
    assert gaps(odd, "QUIET", "missing_candles") == [
        ("klines", march(1, 1, 31), march(2, 9, 20), 1909)
    ]


def test_candles_with_minutes_left_out_agree_with_our_bars(odd: OddLake) -> None:
    rows = odd.query(
        "select count(*), count(differing), count(cause) from marts.klines_reconciliation "
        f"where exchange = '{EXCHANGE}'"
    )
    assert rows == [(10, 0, 0)]


def test_whole_days_are_missing_by_id_and_as_a_silence(odd: OddLake) -> None:
    last, first = march(1, 0, 0, 20), march(4)
    assert gaps(odd, "DAYS", "missing_ids") == [("trades", last, first, 1000)]
    assert gaps(odd, "DAYS", "silence") == [
        ("mark_prices", march(1, 12), march(4, 6), 66 * 3600),
        ("trades", last, first, 3 * 86_400 - 20),
    ]


def test_ids_of_single_trades_that_are_missing_are_counted(odd: OddLake) -> None:
    assert gaps(odd, "SINGLE", "missing_ids") == [
        ("trades", march(1, 0, 0, 50), march(1, 0, 1), 1),
        ("trades", march(1, 0, 1, 10), march(1, 0, 1, 20), 11),
    ]


def test_ids_that_symbols_share_have_no_holes(odd: OddLake) -> None:
    assert gaps(odd, "SHARED", "missing_ids") == []
