"""The end of the day before: all rows young enough by the clock of features, and the one before."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklake.lake.days import day_before, end_of_day_before, last_row_of_day_before, own_day

TODAY = date(2024, 1, 2)
YESTERDAY = TODAY - timedelta(days=1)
MIDNIGHT = int(datetime(2024, 1, 2, tzinfo=UTC).timestamp())
SECONDS = 10
Row = tuple[int, int | None, int | None]
"""Seconds after midnight of the event and of its receipt, and seq."""


def relation(
    connection: duckdb.DuckDBPyConnection, before: Sequence[Row], own: Sequence[Row]
) -> duckdb.DuckDBPyRelation:
    def stamps(values: Sequence[int | None]) -> pa.Array:
        micros = [None if one is None else (MIDNIGHT + one) * 1_000_000 for one in values]
        return pa.array(micros, pa.timestamp("us", tz="UTC"))

    rows = [*before, *own]
    table = pa.table(
        {
            "date": pa.array([YESTERDAY] * len(before) + [TODAY] * len(own), pa.date32()),
            "row_seq": pa.array([*range(1, len(before) + 1), *range(1, len(own) + 1)], pa.int64()),
            "ts_event": stamps([event for event, _, _ in rows]),
            "ts_capture": stamps([capture for _, capture, _ in rows]),
            "seq": pa.array([seq for *_, seq in rows], pa.int64()),
        }
    )
    connection.execute("set timezone = 'UTC'")
    connection.execute("set variable unit_date = cast(? as date)", [TODAY])
    return connection.from_arrow(table)


def clock(row: Row) -> int:
    return row[0] if row[1] is None else row[1]


def wanted(before: Sequence[Row], own: Sequence[Row]) -> list[int] | None:
    """The rows that have to come, by `row_seq`."""
    numbered = list(enumerate(before, 1))
    since = min([0, *map(clock, own)]) - SECONDS
    young = [number for number, row in numbered if clock(row) >= since]
    older = [
        (clock(row), row[2] is not None, row[2] or 0, number)
        for number, row in numbered
        if clock(row) < since
    ]
    return sorted([*young, *([max(older)[-1]] if older else [])]) or None


def found(before: Sequence[Row], own: Sequence[Row]) -> list[int] | None:
    with duckdb.connect() as connection:
        rows = relation(connection, before, own)
        table = end_of_day_before(rows, ["row_seq", "date"], SECONDS)
    assert table is None or set(table["date"].to_pylist()) == {YESTERDAY}
    return None if table is None else table["row_seq"].to_pylist()


lags = st.sampled_from([None, 0, 3, -3, 15, -15])
seqs = st.sampled_from([None, 0, 1, 2])


def days(low: int, high: int) -> st.SearchStrategy[list[Row]]:
    row = st.builds(
        lambda event, lag, seq: (event, None if lag is None else event + lag, seq),
        st.integers(low, high),
        lags,
        seqs,
    )
    return st.lists(row, max_size=12).map(lambda rows: sorted(rows, key=lambda one: one[0]))


@settings(max_examples=150)
@given(days(-30, -1), days(0, 5))
def test_all_rows_young_enough_and_the_one_before_come_in_stored_order(
    before: list[Row], own: list[Row]
) -> None:
    numbers, needed = found(before, own), wanted(before, own)
    if numbers is None or needed is None:
        assert numbers is needed
        return
    # From the first that is needed on: more only where the clock does not rise with row_seq.
    assert numbers == list(range(needed[0], len(before) + 1))


@pytest.mark.parametrize(
    ("before", "numbers"),
    [
        ([-30, -20, -10, -5], [2, 3, 4]),
        ([-30, -20, -11], [3]),
        ([-9, -8], [1, 2]),
        ([], None),
    ],
)
def test_no_more_comes_than_is_needed_where_the_clock_rises(
    before: list[int], numbers: list[int] | None
) -> None:
    assert found([(event, None, None) for event in before], []) == numbers


def test_a_day_has_its_own_rows_and_those_of_the_date_before() -> None:
    before: list[Any] = [(-2, None, None), (-1, None, None)]
    with duckdb.connect() as connection:
        rows = relation(connection, before, [(0, None, None)])
        assert own_day(rows, ["row_seq", "date"]).to_pylist() == [{"row_seq": 1, "date": TODAY}]
        earlier = day_before(rows, ["row_seq"])
        assert earlier is not None
        assert earlier["row_seq"].to_pylist() == [1, 2]
        assert day_before(relation(connection, [], [(0, None, None)]), ["row_seq"]) is None


@pytest.mark.parametrize("symbols", [["A"] * 5, ["A", "A", "B", "A", "A"], [None] * 5, []])
def test_what_names_a_partition_is_as_stored(
    symbols: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticklake.lake.days.PIECE", 2)
    count = len(symbols)
    stored = pa.table(
        {
            "exchange": pa.array(["x"] * count, pa.string()),
            "symbol": pa.array(symbols, pa.string()),
            "date": pa.array([TODAY] * count, pa.date32()),
            "row_seq": pa.array(range(count), pa.int64()),
        }
    )
    with duckdb.connect() as connection:
        connection.execute("set variable unit_date = cast(? as date)", [TODAY])
        rows = connection.from_arrow(stored)
        for columns in (stored.column_names, ["row_seq", "symbol"], ["symbol", "exchange"]):
            assert own_day(rows, columns).equals(stored.select(columns))


@pytest.mark.parametrize("own", [[], [(5, None, None)]])
def test_the_last_row_of_the_day_before_is_the_last_by_row_seq(own: list[Row]) -> None:
    before: list[Row] = [(-3, 2, 9), (-2, -1, None), (-2, None, 1)]
    with duckdb.connect() as connection:
        rows = relation(connection, before, own)
        last = last_row_of_day_before(rows, ["row_seq", "seq"])
        assert last is not None
        assert last.to_pylist() == [{"row_seq": 3, "seq": 1}]
        assert last_row_of_day_before(relation(connection, [], own), ["row_seq"]) is None
