"""The rebuild equals a slow and obvious one, and never shows a book that was not there."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklake.microstructure.book_rebuild import (
    BOOK_ROWS,
    BookEvents,
    BookRebuild,
    Levels,
    SequenceRule,
)

RULES = st.sampled_from(SequenceRule)
PRICES = st.integers(1, 12).map(lambda ticks: ticks / 10)
SIZES = st.integers(0, 3).map(float)
SIDE = st.lists(st.tuples(PRICES, SIZES), max_size=4)

Side = list[tuple[float, float]]
Row = tuple[int, int, bool, Side, Side]
"""ts_event in microseconds, seq, is_reset, bids, asks."""


@dataclass(frozen=True)
class Event:
    last_id: int
    bids: Side
    asks: Side
    first_id: int = 0
    previous_id: int = 0
    is_snapshot: bool = False
    time: int = 0


def snapshot(last_id: int, bids: Side, asks: Side = (), time: int = 0) -> Event:  # type: ignore[assignment]
    return Event(last_id, list(bids), list(asks), is_snapshot=True, time=time)


def diff(first_id: int, last_id: int, bids: Side, time: int = 0) -> Event:
    """Return a difference that both rules join to one that ends at `first_id - 1`."""
    return Event(last_id, bids, [], first_id, first_id - 1, time=time)


def as_events(events: list[Event]) -> BookEvents:
    def levels(sides: list[Side]) -> Levels:
        offsets = np.concatenate(([0], np.cumsum([len(side) for side in sides]))).astype(np.int64)
        flat = np.array([level for side in sides for level in side], float).reshape(-1, 2)
        return Levels(offsets, flat[:, 0], flat[:, 1])

    def ids(name: str) -> "np.typing.NDArray[np.int64]":
        return np.array([getattr(event, name) for event in events], np.int64)

    times = ids("time").astype("datetime64[us]")
    return BookEvents(
        np.array([event.is_snapshot for event in events], bool),
        ids("first_id"),
        ids("last_id"),
        ids("previous_id"),
        times,
        times + np.timedelta64(1, "s"),
        levels([event.bids for event in events]),
        levels([event.asks for event in events]),
    )


def as_rows(table: pa.Table) -> list[Row]:
    assert table.schema == BOOK_ROWS
    seconds = 1_000_000
    rows = []
    for row in table.to_pylist():
        event, capture = (round(row[ts].timestamp() * seconds) for ts in ("ts_event", "ts_capture"))
        assert capture == event + seconds
        bids, asks = ([(x["price"], x["size"]) for x in row[side]] for side in ("bids", "asks"))
        rows.append((event, row["seq"], row["is_reset"], bids, asks))
    return rows


def rebuild(
    rule: SequenceRule,
    events: list[Event],
    cuts: list[int] = [],  # noqa: B006
    levels: int = 3,
    interval: int = 0,
    buffer: int = 2_000,
) -> list[Row]:
    book = BookRebuild(rule, levels=levels, interval_us=interval, buffer=buffer)
    tables = [
        book.feed(as_events(events[begin:end]))
        for begin, end in pairwise([0, *sorted(cuts), len(events)])
    ]
    return as_rows(pa.concat_tables([*tables, book.finish()]))


def reference(
    rule: SequenceRule, events: list[Event], levels: int, interval: int, buffer: int
) -> list[Row]:
    """Rebuild event by event with two dicts."""
    book: tuple[dict[float, float], dict[float, float]] | None = None
    run: list[Event] = []
    waiting: Event | None = None
    is_reset = False
    rows: list[Row] = []
    last_id = -1

    def apply(event: Event, shown: bool) -> None:
        nonlocal is_reset
        assert book is not None
        for side, changes in zip(book, (event.bids, event.asks), strict=True):
            for price, size in changes:
                side[price] = size
                if size == 0:
                    del side[price]
        if shown:
            bids = sorted(book[0].items(), reverse=True)[:levels]
            asks = sorted(book[1].items())[:levels]
            rows.append((event.time, event.last_id, is_reset, bids, asks))
            is_reset = False

    def start(event: Event, following: list[Event], shown: bool) -> None:
        nonlocal book, is_reset, waiting
        book, is_reset, waiting = ({}, {}), True, None
        apply(event, shown=False)
        for item in following:
            apply(item, shown)

    for event in events:
        if event.is_snapshot:
            needed = event.last_id if rule is SequenceRule.FUTURES else event.last_id + 1
            following = list(run)
            while following and following[0].last_id < needed:
                following.pop(0)
            if not following:
                waiting = event
            elif following[0].first_id <= needed:
                start(event, following, shown=book is None)
            continue
        if event.last_id <= last_id:
            continue
        last_id = event.last_id
        if run:
            joins = (
                event.previous_id == run[-1].last_id
                if rule is SequenceRule.FUTURES
                else event.first_id == run[-1].last_id + 1
            )
            if not joins:
                run, book = [], None
        run = [*run, event]
        if waiting is not None:
            needed = waiting.last_id if rule is SequenceRule.FUTURES else waiting.last_id + 1
            if event.last_id >= needed:
                if event.first_id <= needed:
                    start(waiting, [], shown=True)
                waiting = None
        if book is not None:
            apply(event, shown=True)
        run = run[-buffer:]
    return last_of_each_interval(rows, interval) if interval else rows


def last_of_each_interval(rows: list[Row], interval: int) -> list[Row]:
    kept: list[Row] = []
    latest = None
    for row in rows:
        current = row[0] // interval
        if latest is not None and current <= latest and kept and not kept[-1][2]:
            kept.pop()
        latest = current if latest is None else max(latest, current)
        kept.append(row)
    return kept


@st.composite
def streams(
    draw: st.DrawFn, rule: SequenceRule
) -> tuple[list[Event], dict[int, tuple[Side, Side]]]:
    """A feed of a true book, with losses, late and repeated snapshots; and the book at each id."""
    bids: dict[float, float] = {}
    asks: dict[float, float] = {}
    events, truth = [], {}
    answers: list[tuple[int, int, Side, Side]] = []
    last_id, time = 10, 0
    for _ in range(draw(st.integers(0, 30))):
        time += draw(st.integers(-2, 10))
        if draw(st.integers(0, 4)) == 0:
            levels = list(bids.items()), list(asks.items())
            answers.append((len(events) + draw(st.integers(-3, 5)), last_id, *levels))
            continue
        first_id = last_id + 1
        previous_id, last_id = last_id, last_id + draw(st.integers(1, 4))
        changes = draw(SIDE), draw(SIDE)
        for side, items in zip((bids, asks), changes, strict=True):
            for price, size in items:
                side[price] = size
                if not size:
                    del side[price]
        truth[last_id] = sorted(bids.items(), reverse=True), sorted(asks.items())
        if draw(st.integers(0, 9)):  # else lost
            if rule is SequenceRule.FUTURES:  # their ids have holes
                first_id += draw(st.integers(0, last_id - first_id))
            events.append(Event(last_id, *changes, first_id, previous_id, time=time))
            if not draw(st.integers(0, 9)):
                events.append(draw(st.sampled_from(events)))  # twice
    for place, *answer in reversed(answers):  # sooner or later than the differences around it
        events.insert(max(place, 0), snapshot(*answer))
    return events, truth


@given(
    st.data(), RULES, st.integers(1, 4), st.sampled_from([0, 0, 5, 20]), st.sampled_from([3, 99])
)
def test_equals_the_reference_however_it_is_cut(
    data: st.DataObject, rule: SequenceRule, levels: int, interval: int, buffer: int
) -> None:
    events, _ = data.draw(streams(rule))
    cuts = data.draw(st.lists(st.integers(0, len(events)), max_size=4))
    expected = reference(rule, events, levels, interval, buffer)
    assert rebuild(rule, events, cuts, levels, interval, buffer) == expected


@given(st.data(), RULES)
def test_every_row_is_the_book_that_was_there(data: st.DataObject, rule: SequenceRule) -> None:
    events, truth = data.draw(streams(rule))
    for _, seq, _, bids, asks in rebuild(rule, events, levels=2):
        assert (bids, asks) == (truth[seq][0][:2], truth[seq][1][:2])


@given(st.data(), RULES)
def test_events_of_no_meaning_give_the_rows_of_the_reference(
    data: st.DataObject, rule: SequenceRule
) -> None:
    ids = st.integers(0, 12)
    event = st.builds(Event, ids, SIDE, SIDE, ids, ids, st.booleans(), st.integers(0, 50))
    events = data.draw(st.lists(event, max_size=20))
    cuts = data.draw(st.lists(st.integers(0, len(events)), max_size=3))
    assert rebuild(rule, events, cuts) == reference(rule, events, 3, 0, 2_000)


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), RULES, st.integers(1, 30))
def test_a_long_stream_on_a_deep_book(seed: int, rule: SequenceRule, levels: int) -> None:
    random = np.random.default_rng(seed)
    sides = [[(float(tick), 1.0) for tick in range(1, 200)] for _ in range(2)]
    events = [snapshot(0, *sides)]
    for number in range(1, 300):
        changes = []
        for _ in range(2):
            ticks = np.abs(random.normal(random.choice([1, 60]), 15, random.integers(0, 12)))
            sizes = random.integers(0, 3, len(ticks))
            changes.append(list(zip(np.round(ticks).tolist(), sizes.tolist(), strict=True)))
        events.append(Event(number, *changes, number, number - 1, time=number))
    if rule is SequenceRule.FUTURES:
        events[1] = replace(events[1], first_id=0)
    rows = rebuild(rule, events, random.integers(0, 300, 2).tolist(), levels)
    assert len(rows) == 299
    assert rows == reference(rule, events, levels, 0, 2_000)


BIDS: Side = [(1.0, 5.0), (0.9, 1.0)]


def test_the_first_row_is_a_reset_and_a_size_of_zero_removes_a_level() -> None:
    events = [snapshot(10, BIDS), diff(9, 12, [(1.0, 0.0)], 7), diff(13, 13, [(1.1, 2.0)], 8)]
    for rule in SequenceRule:
        assert rebuild(rule, events) == [
            (7, 12, True, [(0.9, 1.0)], []),
            (8, 13, False, [(1.1, 2.0), (0.9, 1.0)], []),
        ]


def test_the_rules_differ_at_the_border() -> None:
    up_to_10 = [snapshot(10, BIDS), diff(8, 10, [(1.0, 4.0)]), diff(11, 11, [])]
    after_10 = [snapshot(10, BIDS), diff(11, 12, [])]
    assert [row[1] for row in rebuild(SequenceRule.FUTURES, up_to_10)] == [10, 11]
    assert [row[1] for row in rebuild(SequenceRule.SPOT, up_to_10)] == [11]
    assert rebuild(SequenceRule.FUTURES, after_10) == []  # nothing says that 11 follows 10
    assert [row[1] for row in rebuild(SequenceRule.SPOT, after_10)] == [12]


def test_after_a_gap_there_is_no_row_until_a_snapshot() -> None:
    lost = [snapshot(10, BIDS), diff(10, 12, []), diff(14, 15, []), diff(16, 17, [])]
    again = [snapshot(17, BIDS), diff(18, 18, []), diff(17, 19, [])]
    assert [row[1:3] for row in rebuild(SequenceRule.SPOT, lost)] == [(12, True)]
    rows = rebuild(SequenceRule.SPOT, [*lost, *again[:2]])
    assert [row[1:3] for row in rows] == [(12, True), (18, True)]


def test_a_late_snapshot_uses_the_differences_before_it() -> None:
    events = [diff(9, 10, []), diff(11, 12, [(1.0, 1.0)]), diff(13, 14, []), snapshot(11, BIDS)]
    for cuts in ([], [1, 2, 3]):
        rows = rebuild(SequenceRule.SPOT, events, cuts)
        assert [row[1:4] for row in rows] == [
            (12, True, [(1.0, 1.0), (0.9, 1.0)]),
            (14, False, [(1.0, 1.0), (0.9, 1.0)]),
        ]
    assert rebuild(SequenceRule.SPOT, events, buffer=1) == []  # too late for a short buffer


def test_what_comes_twice_or_late_is_left_out() -> None:
    once = [snapshot(10, BIDS), diff(10, 12, [(1.0, 1.0)]), diff(13, 14, [(1.0, 2.0)])]
    twice = [once[0], once[1], once[1], once[2], once[1], once[2], diff(15, 15, [])]
    for rule in SequenceRule:
        rows = rebuild(rule, twice)
        assert rows == rebuild(rule, [*once, diff(15, 15, [])])
        assert [row[1] for row in rows] == [12, 14, 15]


def test_a_snapshot_older_than_the_differences_is_of_no_use() -> None:
    events = [snapshot(10, BIDS), diff(20, 21, []), snapshot(5, BIDS), diff(22, 23, [])]
    for rule in SequenceRule:
        assert rebuild(rule, events) == []


def test_a_snapshot_while_there_is_a_book_restarts_it_without_losing_a_row() -> None:
    start = [snapshot(10, BIDS), diff(10, 12, [(1.2, 1.0)])]
    ahead = [snapshot(15, [(2.0, 1.0)]), diff(13, 14, []), diff(15, 16, [])]
    late = [diff(13, 14, [(1.3, 1.0)]), snapshot(13, [(2.0, 1.0)]), diff(15, 16, [])]
    for rest in (ahead, late):
        rows = rebuild(SequenceRule.FUTURES, [*start, *rest])
        assert [row[1:3] for row in rows] == [(12, True), (14, False), (16, True)]
        assert rows[-1][3][0] == (2.0, 1.0)


def test_an_interval_shows_its_last_row_and_every_reset() -> None:
    events = [
        snapshot(10, BIDS),
        *(diff(10 + n, 10 + n, [], time) for n, time in enumerate([0, 4, 9, 10, 25, 24])),
        snapshot(15, BIDS),
        *(diff(16 + n, 16 + n, [], time) for n, time in enumerate([26, 29])),
    ]
    rows = rebuild(SequenceRule.FUTURES, events, interval=10)
    assert [row[:3] for row in rows] == [
        (0, 10, True),
        (9, 12, False),
        (10, 13, False),
        (26, 16, True),
        (29, 17, False),
    ]


def test_counts_what_gave_no_book() -> None:
    book = BookRebuild(SequenceRule.SPOT, levels=1)
    book.feed(as_events([diff(5, 6, []), diff(7, 8, []), snapshot(7, BIDS), diff(10, 11, [])]))
    assert (book.unused, book.gaps) == (2, 1)


def test_refuses_a_book_without_levels() -> None:
    with pytest.raises(ValueError, match="levels"):
        BookRebuild(SequenceRule.SPOT, levels=0)
