"""The first trade of a symbol has id 0."""

from tests.integration.odd.conftest import OddLake


def test_a_trade_with_id_0_is_a_trade_as_any_other(odd: OddLake) -> None:
    query = "select trade_id from compacted.trades where exchange = 'first-trade' order by all"
    assert odd.query(query) == [("0",), ("1",)]
