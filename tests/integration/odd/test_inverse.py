"""The notional of an inverse contract is not price times size, so it is not compared."""

from tests.integration.odd.conftest import OddLake
from tests.integration.odd.sources_inverse import EXCHANGE


def test_candles_of_an_inverse_contract_agree_in_all_but_notional(odd: OddLake) -> None:
    rows = odd.query(
        "select minute(ts_open), is_notional_compared, differing "
        f"from marts.klines_reconciliation where exchange = '{EXCHANGE}' order by ts_open"
    )
    assert rows == [(0, False, None), (1, False, None), (2, False, "volume")]


def test_volume_counts_contracts(odd: OddLake) -> None:
    rows = odd.query(
        "select volume, buy_volume from bars.time_bars "
        f"where exchange = '{EXCHANGE}' and bar_seconds = 60 order by ts_open"
    )
    assert rows == [(14, 10), (5, 0), (5, 0)]
