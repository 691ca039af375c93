"""The book after each message of changed levels."""

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ticklake.microstructure.book_changes import BookChanges, LevelChanges

Change = tuple[int, bool, bool, float, float]
"""Message, whether of a snapshot, whether a bid, price, size."""


def changes_of(rows: list[Change]) -> LevelChanges:
    message, snapshot, bid, price, size = zip(*rows, strict=True) if rows else ([],) * 5
    captured = np.array(message, np.int64).astype("datetime64[us]")
    return LevelChanges(
        captured - np.timedelta64(5, "us"),
        captured,
        np.array(snapshot, bool),
        np.array(bid, bool),
        np.array(price, float),
        np.array(size, float),
    )


def plain(table: pa.Table) -> list[dict[str, Any]]:
    for place, name in enumerate(("ts_event", "ts_capture")):
        table = table.set_column(place, name, table[name].cast(pa.int64()))
    return table.to_pylist()


def reference(rows: list[Change], levels: int) -> list[dict[str, Any]]:
    """The slow and obvious way: one dict a side, sorted for each message."""
    sides: tuple[dict[float, float], dict[float, float]] | None = None
    was_snapshot, is_reset = False, False
    found = []
    for place, (message, is_snapshot, is_bid, price, size) in enumerate(rows):
        if is_snapshot and not was_snapshot:
            sides, is_reset = ({}, {}), True
        was_snapshot = is_snapshot
        if sides is None:
            continue
        side = sides[0 if is_bid else 1]
        side.pop(price, None)
        if size > 0:
            side[price] = size
        following = rows[place + 1] if place + 1 < len(rows) else None
        if following is None or following[:2] != (message, is_snapshot):
            bids, asks = sorted(sides[0].items(), reverse=True), sorted(sides[1].items())
            found.append(
                {
                    "ts_event": message - 5,
                    "ts_capture": message,
                    "seq": None,
                    "is_reset": is_reset,
                    "bids": [{"price": p, "size": s} for p, s in bids[:levels]],
                    "asks": [{"price": p, "size": s} for p, s in asks[:levels]],
                }
            )
            is_reset = False
    return found


STREAMS = st.lists(
    st.tuples(
        st.integers(0, 1),  # whether another message begins
        st.sampled_from([False, False, False, True]),
        st.booleans(),
        st.integers(1, 12).map(float),
        st.integers(0, 3).map(float),
    ),
    max_size=60,
).map(
    lambda rows: [
        (int(message), *rest)
        for message, (_, *rest) in zip(np.cumsum([row[0] for row in rows]), rows, strict=True)
    ]
)


@given(STREAMS, st.integers(1, 4), st.lists(st.integers(0, 60), max_size=4))
def test_any_division_into_chunks_gives_the_rows_of_the_reference(
    rows: list[Change], levels: int, cuts: list[int]
) -> None:
    book = BookChanges(levels)
    bounds = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [book.feed(changes_of(rows[begin:end])) for begin, end in itertools.pairwise(bounds)]
    found = plain(pa.concat_tables([*parts, book.finish()]))
    assert found == reference(rows, levels)


def test_many_messages_are_more_than_a_block() -> None:
    rng = np.random.default_rng(5)
    rows: list[Change] = [(0, True, bool(p % 2), float(p), 1.0) for p in range(300)]
    for message in range(1, 400):
        for _ in range(rng.integers(1, 5)):
            price, size = float(rng.integers(0, 300)), float(rng.integers(0, 3))
            rows.append((message, message in (150, 151), bool(rng.integers(2)), price, size))
    book = BookChanges(25)
    found = plain(pa.concat_tables([book.feed(changes_of(rows)), book.finish()]))
    assert found == reference(rows, 25)


def test_a_lost_book_waits_for_the_next_snapshot() -> None:
    book = BookChanges(5)
    first = book.feed(changes_of([(1, True, True, 9.0, 1.0), (2, False, True, 8.0, 1.0)]))
    assert plain(first)[0]["is_reset"]
    book.lose()
    dark = book.feed(changes_of([(3, False, True, 7.0, 1.0), (4, True, False, 10.0, 2.0)]))
    assert dark.num_rows == 0
    (row,) = plain(book.finish())
    assert row["is_reset"]
    assert (row["bids"], row["asks"]) == ([], [{"price": 10.0, "size": 2.0}])
    assert book.unused == 2


def test_no_levels_make_no_book() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        BookChanges(0)
