"""What a mapping says is what the tables hold."""

from decimal import Decimal

from tests.integration.odd.conftest import OddLake
from tests.integration.odd.sources_vendors import EXCHANGE


def test_signs_are_sides_and_wei_are_scaled(odd: OddLake) -> None:
    query = f"select trade_id, size, side from compacted.trades where exchange = '{EXCHANGE}'"
    assert odd.query(f"{query} order by all") == [
        ("1", Decimal("0.24"), "sell"),
        ("2", Decimal(500), "buy"),
    ]


def test_a_book_as_an_object_from_price_to_size_is_a_book(odd: OddLake) -> None:
    columns = "bid_levels, bid_price_1, bid_size_1, bid_price_2, ask_price_1, ask_size_1"
    query = f"select {columns} from compacted.order_book where exchange = '{EXCHANGE}'"
    assert odd.query(query) == [(2, 34151.66, 0.5, 34151.6, 34151.67, 1.0)]
