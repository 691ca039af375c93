"""Tardis CSV files of Deribit: `tardis/deribit_<type>_<date>_<symbol>.csv.gz`, one a day.

Rows are in order of `local_timestamp`; `timestamp`, the exchange's, goes back where a message came
late. Some rows come twice. Book snapshots are crossed, one-sided or empty now and then (a missing
level is two empty fields); the incremental book starts anew where the recorder reconnected.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from ticklake.sample.derivatives import Derivative
from ticklake.sample.feeds import DAY_US, Feed, Period
from ticklake.sample.files import SampleFile, write_file
from ticklake.sample.listings import plain
from ticklake.sample.prices import generator
from ticklake.sample.simulation import ASK, BID, changes_of

LATE_SHARE: Final = 0.006
TWICE_SHARE: Final = 0.004
TICKER_EVERY_US: Final = 30 * 10**6
HEAD: Final = "exchange,symbol,timestamp,local_timestamp"

Row = tuple[int, str]
"""Exchange time (us), and the columns after the first four."""


def write_trades(folder: Path, feed: Feed, period: Period) -> Iterator[SampleFile]:
    """Write trades; the ids are UUIDs that follow from the trade."""
    trades, listing = feed.trades, feed.listing
    rows: list[Row] = []
    for number in range(len(trades)):
        trade_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{listing.symbol}/{trades.id[number]}")
        side = "buy" if trades.is_buy[number] else "sell"
        price = plain(int(trades.price[number]), listing.price_digits)
        size = plain(int(trades.size[number]), listing.size_digits)
        rows.append((int(trades.ts_us[number]), f"{trade_id},{side},{price},{size}"))
    yield from _write(folder, feed, "trades", "id,side,price,amount", rows, period)


def write_snapshots(folder: Path, feed: Feed, period: Period, levels: int) -> Iterator[SampleFile]:
    """Write the best levels after each event."""
    book = feed.book
    columns = ",".join(
        f"asks[{level}].price,asks[{level}].amount,bids[{level}].price,bids[{level}].amount"
        for level in range(levels)
    )
    rows = []
    for event in range(len(book)):
        sides = [_fields(feed, event, side, levels) for side in (ASK, BID)]
        fields = ",".join(f"{ask},{bid}" for ask, bid in zip(*sides, strict=True))
        rows.append((int(book.ts_us[event]), fields))
    yield from _write(folder, feed, f"book_snapshot_{levels}", columns, rows, period)


def write_increments(folder: Path, feed: Feed, period: Period) -> Iterator[SampleFile]:
    """Write a snapshot each session and each day, and half-way once more; changes after it."""
    book, listing = feed.book, feed.listing
    anew = {session.start for session in feed.sessions}
    anew |= {(session.start + session.stop) // 2 for session in feed.sessions}
    events = range(len(book))
    changes = {
        name: changes_of(book, side).by_event(events) for name, side in (("ask", ASK), ("bid", BID))
    }
    rows: list[Row] = []
    for event in events:
        at_us = int(book.ts_us[event])
        for name, side in (("ask", ASK), ("bid", BID)):
            is_snapshot = event in anew
            levels = book.levels(event, side) if is_snapshot else changes[name].get(event, [])
            for price, size in levels:
                price_text = plain(price, listing.price_digits)
                size_text = plain(size, listing.size_digits)
                flag = "true" if is_snapshot else "false"
                rows.append((at_us, f"{flag},{name},{price_text},{size_text}"))
    columns = "is_snapshot,side,price,amount"
    yield from _write(folder, feed, "incremental_book_L2", columns, rows, period, may_fail=False)


def write_quotes(folder: Path, feed: Feed, period: Period) -> Iterator[SampleFile]:
    """Write the best prices after each event; a side without orders is empty."""
    rows = []
    for event in range(len(feed.book)):
        (ask,), (bid,) = (_fields(feed, event, side, 1) for side in (ASK, BID))
        ask_price, ask_size = ask.split(",")
        rows.append((int(feed.book.ts_us[event]), f"{ask_size},{ask_price},{bid}"))
    columns = "ask_amount,ask_price,bid_price,bid_amount"
    yield from _write(folder, feed, "quotes", columns, rows, period)


def write_tickers(
    folder: Path, feed: Feed, derivative: Derivative, period: Period
) -> Iterator[SampleFile]:
    """Write mark price, index price and funding, twice a minute all day."""
    listing, trades = feed.listing, feed.trades
    times = np.arange(period.begin_us, period.end_us, TICKER_EVERY_US)
    marks, indexes = derivative.mark_price(times), derivative.index_price(times)
    last = np.maximum(np.searchsorted(trades.ts_us, times, side="right") - 1, 0)
    rows = []
    for number, at_us in enumerate(times.tolist()):
        paid_at = derivative.next_funding_us(at_us)
        rate = derivative.funding_rate(paid_at)
        interest = 1_000_000_000 + (at_us // 10**6 * 7_919) % 50_000_000
        price = plain(int(trades.price[last[number]]), listing.price_digits)
        rows.append(
            (
                at_us,
                f"{paid_at},{_float(rate, 8)},,{interest},{price},"
                f"{_float(indexes[number], 2)},{_float(marks[number], 2)}",
            )
        )
    columns = (
        "funding_timestamp,funding_rate,predicted_funding_rate,open_interest,last_price,"
        "index_price,mark_price"
    )
    yield from _write(folder, feed, "derivative_ticker", columns, rows, period)


def _fields(feed: Feed, event: int, side: int, levels: int) -> list[str]:
    """Return `price,amount` of each level, `,` where there is none."""
    listing = feed.listing
    fields = [
        f"{plain(price, listing.price_digits)},{plain(size, listing.size_digits)}"
        for price, size in feed.book.levels(event, side)[:levels]
    ]
    return fields + [","] * (levels - len(fields))


def _write(
    folder: Path,
    feed: Feed,
    kind: str,
    columns: str,
    rows: list[Row],
    period: Period,
    *,
    may_fail: bool = True,
) -> Iterator[SampleFile]:
    """Write a file a day; with `may_fail`, some rows come late or twice."""
    listing = feed.listing
    rng = generator(period.seed, "tardis", listing.symbol, kind)
    times = np.array([row[0] for row in rows], np.int64)
    # One message's rows share its local time: that is what makes them one message.
    is_new = np.append(True, times[1:] != times[:-1])
    latency = 3_000 + rng.exponential(4_000, len(rows)).astype(np.int64)[np.cumsum(is_new) - 1]
    local = np.maximum.accumulate(times + latency)
    order = np.arange(len(rows))
    if may_fail:
        late = rng.random(len(rows)) < LATE_SHARE
        local = local + np.where(late, rng.integers(1_000_000, 30_000_000, len(rows)), 0)
        twice = np.flatnonzero(rng.random(len(rows)) < TWICE_SHARE)
        order = np.concatenate([order, twice])
        order = order[np.lexsort((order, local[order]))]
    head = f"{listing.exchange},{listing.symbol}"
    for day in period.day_begins():
        chosen = order[(local[order] >= day) & (local[order] < day + DAY_US)]
        lines = [f"{HEAD},{columns}\n"]
        lines += [
            f"{head},{times[number]},{local[number]},{rows[number][1]}\n"
            for number in chosen.tolist()
        ]
        date = f"{datetime.fromtimestamp(day // 10**6, UTC):%Y-%m-%d}"
        path = folder / f"tardis/{listing.exchange}_{kind}_{date}_{listing.symbol}.csv.gz"
        yield write_file(path, "".join(lines).encode(), len(chosen))


def _float(value: float, digits: int) -> str:
    text = f"{value:.{digits}f}".rstrip("0")
    return text.removesuffix(".")
