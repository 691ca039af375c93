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
"""Capture time, whether of a snapshot, whether a bid, price, size. `EVENT` says the event time."""

EVENT = 10
"""Capture times that differ by less than this have the same event time."""


def changes_of(rows: list[Change]) -> LevelChanges:
    message, snapshot, bid, price, size = zip(*rows, strict=True) if rows else ([],) * 5
    captured = np.array(message, np.int64)
    return LevelChanges(
        (captured // EVENT * EVENT).astype("datetime64[us]"),
        captured.astype("datetime64[us]"),
        np.array(snapshot, bool),
        np.array(bid, bool),
        np.array(price, float),
        np.array(size, float),
    )


def plain(table: pa.Table) -> list[dict[str, Any]]:
    for place, name in enumerate(("ts_event", "ts_capture")):
        table = table.set_column(place, name, table[name].cast(pa.int64()))
    return table.to_pylist()


def messages_of(rows: list[Change]) -> list[list[Change]]:
    """Return the rows of each message; a snapshot in several parts is one."""
    parts = [list(part) for _, part in itertools.groupby(rows, key=lambda row: row[:2])]
    messages: list[list[Change]] = []
    for part in parts:
        if messages and _continues(messages[-1], part):
            messages[-1] += part
        else:
            messages.append(part)
    return messages


def _continues(message: list[Change], part: list[Change]) -> bool:
    if not (message[0][1] and part[0][1] and message[-1][0] // EVENT == part[0][0] // EVENT):
        return False
    prices = [{row[2:4] for row in rows} for rows in (message, part)]
    bids = [row[3] for row in message + part if row[2]]
    asks = [row[3] for row in message + part if not row[2]]
    return not prices[0] & prices[1] and max(bids, default=-1) < min(asks, default=99)


def reference(rows: list[Change], levels: int) -> list[dict[str, Any]]:
    """The slow and obvious way: one dict a side, sorted for each message."""
    sides: tuple[dict[float, float], dict[float, float]] | None = None
    has_updates = False
    found = []
    for message in messages_of(rows):
        is_snapshot = message[0][1]
        is_reset = is_snapshot and (has_updates or sides is None)
        has_updates |= not is_snapshot
        if is_snapshot:
            sides = ({}, {})
        if sides is None:
            continue
        for _, _, is_bid, price, size in message:
            side = sides[0 if is_bid else 1]
            side.pop(price, None)
            if size > 0:
                side[price] = size
        bids, asks = sorted(sides[0].items(), reverse=True), sorted(sides[1].items())
        found.append(
            {
                "ts_event": message[-1][0] // EVENT * EVENT,
                "ts_capture": message[-1][0],
                "seq": None,
                "is_reset": is_reset,
                "bids": [{"price": p, "size": s} for p, s in bids[:levels]],
                "asks": [{"price": p, "size": s} for p, s in asks[:levels]],
            }
        )
    return found


def streams(step: int, kinds: list[bool]) -> st.SearchStrategy[list[Change]]:
    """Return streams of changes: bids below asks more often than not, so that parts fit."""
    rows = st.tuples(
        st.sampled_from([0, 0, 1, step]),  # how much later it was captured
        st.sampled_from(kinds),
        st.booleans(),
        st.integers(1, 12).map(float),
        st.integers(0, 3).map(float),
    )
    return st.lists(rows, max_size=60).map(
        lambda rows: [
            (int(message), is_snapshot, is_bid, price + (0 if is_bid else 9), size)
            for message, (_, is_snapshot, is_bid, price, size) in zip(
                np.cumsum([row[0] for row in rows]), rows, strict=True
            )
        ]
    )


STREAMS = st.one_of(
    streams(EVENT, [False, False, False, True]), streams(EVENT, [True]), streams(3, [True, False])
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
            rows.append(
                (message * EVENT, message in (150, 151), bool(rng.integers(2)), price, size)
            )
    book = BookChanges(25)
    found = plain(pa.concat_tables([book.feed(changes_of(rows)), book.finish()]))
    assert found == reference(rows, 25)


def rows_of(*rows: Change) -> list[dict[str, Any]]:
    book = BookChanges(5)
    return plain(pa.concat_tables([book.feed(changes_of(list(rows))), book.finish()]))


def prices(row: dict[str, Any]) -> tuple[list[float], list[float]]:
    return tuple([level["price"] for level in row[side]] for side in ("bids", "asks"))  # type: ignore[return-value]


def snapshot(captured: int, bids: list[float], asks: list[float]) -> list[Change]:
    return [
        *((captured, True, True, price, 1.0) for price in bids),
        *((captured, True, False, price, 1.0) for price in asks),
    ]


def test_each_of_many_snapshots_replaces_the_book() -> None:
    found = rows_of(
        *snapshot(10, [100, 99], [101, 102]),
        *snapshot(20, [101, 100], [102, 103]),
        *snapshot(30, [102, 101], [103, 104]),
    )
    assert [prices(row) for row in found] == [
        ([100, 99], [101, 102]),
        ([101, 100], [102, 103]),
        ([102, 101], [103, 104]),
    ]
    assert [row["is_reset"] for row in found] == [True, False, False]


def test_a_symbol_with_updates_is_reset_by_each_snapshot() -> None:
    found = rows_of(
        *snapshot(10, [100], [101]),
        (20, False, True, 99.0, 1.0),
        *snapshot(30, [98], [101]),
        *snapshot(40, [97], [101]),
        (50, False, True, 96.0, 1.0),
    )
    assert [prices(row)[0] for row in found] == [[100], [100, 99], [98], [97], [97, 96]]
    assert [row["is_reset"] for row in found] == [True, False, True, True, False]


def test_a_snapshot_in_several_messages_is_one() -> None:
    (row,) = rows_of(
        *snapshot(10, [100, 99], []), *snapshot(11, [98], [101]), *snapshot(12, [], [102])
    )
    assert prices(row) == ([100, 99, 98], [101, 102])
    assert (row["ts_event"], row["ts_capture"]) == (10, 12)


@pytest.mark.parametrize("second", [([100], [102]), ([99], [100]), ([101], [102])])
def test_a_snapshot_of_the_same_time_that_fits_no_other_replaces_it(
    second: tuple[list[float], list[float]],
) -> None:
    found = rows_of(*snapshot(10, [100], [101]), *snapshot(11, *second))
    assert [prices(row) for row in found] == [([100], [101]), second]


def test_snapshots_of_one_capture_time_are_told_apart_by_their_event_times() -> None:
    changes = changes_of([*snapshot(10, [100], [101]), *snapshot(10, [98], [103])])
    changes.ts_event[2:] += np.timedelta64(1, "us")
    book = BookChanges(5)
    found = plain(pa.concat_tables([book.feed(changes), book.finish()]))
    assert [prices(row) for row in found] == [([100], [101]), ([98], [103])]


def test_a_snapshot_and_updates_of_one_time_are_three_messages() -> None:
    found = rows_of(
        *snapshot(10, [100], [101]),
        (20, False, True, 99.0, 1.0),
        *snapshot(20, [97], [101]),
        (20, False, True, 98.0, 1.0),
    )
    assert [prices(row)[0] for row in found] == [[100], [100, 99], [97], [98, 97]]
    assert [row["is_reset"] for row in found] == [True, False, True, False]


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
