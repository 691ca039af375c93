"""What has an id of something else is kept and counted."""

import pytest

from tests.integration.odd.conftest import OddLake


@pytest.mark.parametrize(
    ("symbol", "row_count", "conflict_count", "repeated_count"),
    [
        (".BXBT", 6, 5, 0),  # zero UUIDs
        ("NUMBERED", 4, 2, 0),  # each file numbers its rows
        ("DUMPED", 7, 0, 3),  # no ids: the rows of the dump are in the file of the quarter, too
    ],
)
def test_an_id_of_something_else_is_kept_and_counted(
    odd: OddLake, symbol: str, row_count: int, conflict_count: int, repeated_count: int
) -> None:
    query = (
        "select row_count, duplicate_count, conflict_count, repeated_count from marts.quality "
        f"where exchange = 'repeated' and table_name = 'trades' and symbol = '{symbol}'"
    )
    assert odd.query(query) == [(row_count, 0, conflict_count, repeated_count)]


def test_what_repeats_is_a_warning(odd: OddLake) -> None:
    assert "WARN 1 assert_no_trade_is_repeated_by_another_segment" in odd.build
    assert "quality_ids_name_one_event" in odd.build


def test_a_whole_candle_replaces_a_part_of_it(odd: OddLake) -> None:
    query = (
        "select high, close, volume, count, conflict_count from compacted.klines "
        "where exchange = 'repeated'"
    )
    assert odd.query(query) == [(3, 1, 9, 7, 1)]
