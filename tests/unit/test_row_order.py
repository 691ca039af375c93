"""Rows are in order exactly where DuckDB would leave them as they are."""

import itertools
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.lake.row_order import RowOrder

ORDER = ("symbol", "ts nulls first", "price", "number", "text nulls first")
SCHEMA = pa.schema(
    [
        ("symbol", pa.dictionary(pa.int32(), pa.string())),
        ("ts", pa.timestamp("ns")),
        ("price", pa.decimal128(38, 12)),
        ("number", pa.int64()),
        ("text", pa.string()),
    ]
)
Row = tuple[str | None, int | None, Decimal | None, int | None, str | None]

words = st.sampled_from([None, "", "@1", "B", "b", "\N{SNOWMAN}", "\N{GRINNING FACE}"])
numbers = st.sampled_from([None, -(2**63), -1, 0, 2**63 - 1])
prices = st.sampled_from([None, Decimal("0.5"), Decimal("0.6"), Decimal(-(10**25))])
rows_of_few = st.tuples(words, st.sampled_from([None, 0, 1]), prices, numbers, words)


def table(rows: Sequence[Row]) -> pa.Table:
    names = SCHEMA.names
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], SCHEMA)


def ranks(rows: Sequence[Row]) -> list[int]:
    """The place of each row in DuckDB's order; equal rows have one."""
    with duckdb.connect() as connection:
        numbered = table(rows).append_column("row", pa.array(range(len(rows))))
        connection.register("given", numbered)
        ordered = f"select row, rank() over (order by {', '.join(ORDER)}) from given order by row"
        return [rank for _, rank in connection.execute(ordered).fetchall()]


def first_refusal(rows: Sequence[Row], batch: int) -> str | None:
    last = None
    for begin in range(0, len(rows), batch):
        try:
            last = RowOrder.of(ORDER).check(table(rows[begin : begin + batch]), last)
        except ValueError as error:
            return str(error)
    return None


@given(st.lists(rows_of_few, min_size=1, max_size=12), st.integers(1, 12), st.booleans())
def test_rows_pass_where_each_is_behind_the_one_before_it(
    rows: list[Row], batch: int, sort: bool
) -> None:
    if sort:
        places = ranks(rows)
        rows = [rows[places.index(place)] for place in sorted(set(places))]
    rises = all(a < b for a, b in itertools.pairwise(ranks(rows)))
    assert (first_refusal(rows, batch) is None) == rises


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_a_refusal_shows_the_two_rows(batch: int) -> None:
    rows: list[Any] = [
        ("B", None, None, 1, "x"),
        ("B", None, None, 1, None),
        ("A", 0, None, 0, None),
    ]
    refusal = first_refusal(rows, batch)
    assert refusal is not None
    assert "price, number, text: after B, None, None, 1, x comes B, None, None, 1, None." in refusal
