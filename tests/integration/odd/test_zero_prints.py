"""A print with price 0 or size 0 is in no bar and no feature."""

from tests.integration.odd.conftest import OddLake


def test_features_count_the_trades_that_bars_count(odd: OddLake) -> None:
    features = odd.query(
        "select trade_count, trade_volume, buy_volume, sell_volume, tfi, trade_vwap, "
        "trade_count_60s, sell_volume_60s, tfi_60s from featured.features "
        "where exchange = 'zero-prints' and seq = 2"
    )
    assert features == [(1, 2.5, 2.5, 0.0, 1.0, 2.0002, 1, 0.0, 1.0)]
    bars = odd.query(
        "select trade_count, buy_volume, sell_volume, vwap from bars.time_bars "
        "where exchange = 'zero-prints' and bar_seconds = 60"
    )
    assert bars == [(1, 2.5, 0, 2.0002)]
    kept = odd.query("select count(*) from compacted.trades where exchange = 'zero-prints'")
    assert kept == [(3,)]
    odd_count = "select odd_count from marts.quality where symbol = 'Z' and table_name = 'trades'"
    assert odd.query(odd_count) == [(2,)]
