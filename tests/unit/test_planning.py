"""Which units there are."""

import pytest

from ticklake.lake.errors import LakeError
from ticklake.lake.planning import Input, units_of
from ticklake.lake.tables import Partition

COLUMNS = ("exchange", "symbol", "date")


def table(name: str, *symbols: str) -> Input:
    keys = [("binance", symbol, "2025-08-01") for symbol in symbols]
    return Input(name, COLUMNS, {key: Partition(key, (), 0, f"{name} {key}") for key in keys})


def symbols_of(*inputs: Input, units_from: str | None = None) -> list[str]:
    return [symbol for _, symbol, _ in units_of(inputs, COLUMNS, "code", units_from=units_from)]


def test_units_are_what_any_input_has_or_what_the_named_one_has() -> None:
    books, trades = table("books", "A"), table("trades", "A", "B")
    assert symbols_of(books, trades) == ["A", "B"]
    assert symbols_of(books, trades, units_from="books") == ["A"]
    assert symbols_of(table("books"), trades, units_from="books") == []


def test_the_other_inputs_still_count_for_a_unit() -> None:
    key = ("binance", "A", "2025-08-01")
    books = table("books", "A")
    with_trades, without = (
        units_of((books, trades), COLUMNS, "code", units_from="books")[key]
        for trades in (table("trades", "A"), table("trades", "B"))
    )
    assert [part.key for part in with_trades.inputs["trades"]] == [key]
    assert without.inputs["trades"] == ()
    assert with_trades.fingerprint != without.fingerprint


def test_a_name_that_is_no_input_is_refused() -> None:
    with pytest.raises(LakeError, match="units_from"):
        symbols_of(table("books", "A"), units_from="book")


def on(name: str, *days: tuple[str, str]) -> Input:
    keys = [(exchange, "A", date) for exchange, date in days]
    return Input(name, COLUMNS, {key: Partition(key, (), 0, f"{name} {key}") for key in keys})


def test_a_day_is_over_when_the_named_input_or_any_of_them_has_a_later_one() -> None:
    first, second = "2025-08-01", "2025-08-02"
    books = on("books", ("x", first), ("x", second), ("y", first))
    trades = on("trades", ("x", first), ("y", first), ("y", second))

    def closed(closed_by: str | None) -> list[tuple[str, ...]]:
        units = units_of([books, trades], ("exchange", "date"), "code", closed_by)
        return [key for key, unit in units.items() if unit.is_closed]

    assert closed("books") == [("x", first)]
    assert closed("trades") == [("y", first)]
    assert closed("*") == [("x", first), ("y", first)]
    assert closed(None) == []


def test_what_cannot_say_that_a_day_is_over_is_refused() -> None:
    books = on("books", ("x", "2025-08-01"))
    for unit_by, closed_by in (
        (("exchange", "date"), "trades"),
        (COLUMNS, "books"),
        (COLUMNS, "*"),
    ):
        with pytest.raises(LakeError, match="closed_by names"):
            units_of([books], unit_by, "code", closed_by)


def test_a_day_reads_the_month_that_it_lies_in() -> None:
    days = [("binance", day) for day in ("2025-07-31", "2025-08-01", "2025-08-31")]
    months = [("binance", symbol, month) for symbol in "AB" for month in ("2025-07", "2025-08")]
    months.append(("okx", "A", "2025-08"))
    by_day = Input("bars", ("exchange", "date"), {key: Partition(key, (), 0, "") for key in days})
    columns = ("exchange", "symbol", "month")
    by_month = Input("klines", columns, {key: Partition(key, (), 0, "") for key in months})
    units = units_of((by_day, by_month), ("exchange", "date"), "code")
    assert [[part.key[1:] for part in unit.inputs["klines"]] for unit in units.values()] == [
        [("A", "2025-07"), ("B", "2025-07")],
        [("A", "2025-08"), ("B", "2025-08")],
        [("A", "2025-08"), ("B", "2025-08")],
    ]


def by_day(name: str, *dates: str) -> Input:
    keys = [("x", date) for date in dates]
    parts = {key: Partition(key, (), 7, f"{name} {key}") for key in keys}
    return Input(name, ("exchange", "date"), parts, views=("trades",))


def prints_of(*symbols: str) -> Input:
    keys = [("x", symbol, "2025-08-01") for symbol in symbols]
    parts = {key: Partition(key, (), 5, f"prints {key}") for key in keys}
    return Input("prints", COLUMNS, parts, views=("trades",))


def test_a_view_stands_for_the_tables_behind_it() -> None:
    inputs = [prints_of("A", "B"), by_day("fills", "2025-08-01", "2025-08-02")]
    units = units_of(inputs, ("exchange", "date"), "code", "trades", "trades")
    assert [key[1] for key, unit in units.items() if unit.is_closed] == ["2025-08-01"]
    first = units["x", "2025-08-01"].inputs
    assert [len(first[name]) for name in ("prints", "fills")] == [2, 1]


def test_units_by_symbol_of_a_view_that_does_not_know_all_symbols_are_refused() -> None:
    inputs = [prints_of("A", "B"), by_day("fills", "2025-08-01")]
    for units_from in (None, "trades"):
        with pytest.raises(LakeError, match=r"rows of fills, .* would leave its rows out"):
            units_of(inputs, COLUMNS, "code", units_from=units_from)
    books = Input("books", COLUMNS, {("x", "A", "2025-08-01"): Partition(("x",), (), 3, "books")})
    units = units_of([books, *inputs], COLUMNS, "code", units_from="books")
    assert [key[1] for key in units] == ["A"]


def test_what_many_units_read_does_not_count_for_the_size_of_each() -> None:
    fills = Input("fills", ("exchange", "date"), by_day("fills", "2025-08-01").partitions)
    prints = Input("prints", COLUMNS, prints_of("A", "B").partitions)
    assert {unit.size for unit in units_of([prints, fills], COLUMNS, "code").values()} == {5}
    assert {
        unit.size for unit in units_of([prints, fills], ("exchange", "date"), "code").values()
    } == {2 * 5 + 7}
