"""Sizes in another unit stop no symbol but their own."""

from tests.integration.odd.conftest import OddLake


def test_only_the_symbol_with_huge_sizes_has_no_bars(odd: OddLake) -> None:
    def symbols(table: str) -> list[tuple[str]]:
        where = "exchange = 'sums-too-large'" + (" and bar_seconds = 60" if "bars" in table else "")
        return odd.query(f"select distinct symbol from {table} where {where} order by symbol")

    assert symbols("compacted.trades") == [("HUGE",), ("PLAIN",)]
    assert symbols("bars.time_bars") == [("PLAIN",)]


def test_landing_says_why_wei_are_refused_and_the_build_names_the_symbol(odd: OddLake) -> None:
    assert any("BAD_NOTIONAL 2" in output for output in odd.landed)
    assert "WARN 1 assert_sums_fit_their_columns" in odd.build
