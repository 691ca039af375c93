"""WebSocket captures of Binance, one file a symbol and hour.

USD-M futures as a recorder writes them: `<receive ns> <combined stream JSON>` a line, gzip. Spot as
raw event objects, plain text. What the real captures have, these have: depth events that arrive
before the snapshot they continue, a receive clock that is 1.2 s behind the exchange's, one line
that is no event, and prints without price or size. What happens to recorders happens here too: a
connection is lost for a while (a gap in the update ids, and a new snapshot), lines come twice, and
some come late.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from ticklake.sample.derivatives import HOUR_US, Derivative
from ticklake.sample.feeds import Feed, Period
from ticklake.sample.files import SampleFile, write_file
from ticklake.sample.listings import Listing, fixed
from ticklake.sample.prices import generator
from ticklake.sample.simulation import ASK, BID, Changes, changes_of

CLOCK_BEHIND_US: Final = 1_200_000
MARK_EVERY_US: Final = 3_000_000
LATE_SHARE: Final = 0.003
TWICE_SHARE: Final = 0.003
CONTROL_LINE: Final = '{"result":null,"id":1}'
SPOT_DIGITS: Final = 8
CONNECTING: Final = 5
"""Events that arrive while a snapshot is asked for."""


@dataclass(frozen=True, slots=True)
class _Line:
    at_us: int
    """Exchange time, later where it arrived late."""
    rank: int
    """Order within an instant."""
    text: str


def busy_spans(period: Period) -> list[tuple[int, int]]:
    """Return what the hour files cover in exchange time: they are cut by the receive clock."""
    return [
        (begin + CLOCK_BEHIND_US, begin + HOUR_US + CLOCK_BEHIND_US)
        for begin in period.midnight_hours()
    ]


def write_futures(
    folder: Path, feed: Feed, derivative: Derivative, period: Period
) -> Iterator[SampleFile]:
    """Write a gzip file a busy hour: depth, trades, tickers, mark price."""
    listing = feed.listing
    changes = changes_of(feed.book, BID), changes_of(feed.book, ASK)
    for session, (begin, end) in zip(feed.sessions, feed.busy, strict=True):
        hour = _hour(begin)
        rng = generator(period.seed, "capture", listing.symbol, hour)
        lost = _lost(session)
        lines = [
            *_depth(feed, session, lost, changes, rng, is_spot=False),
            *_futures_trades(feed, session, rng),
            *_tickers(feed, session, rng),
            *_marks(derivative, begin, end),
        ]
        lines = _connected(lines, feed, (begin, end), lost)
        text = _received(lines, begin, rng)
        path = folder / f"capture/{listing.exchange}/{listing.symbol.lower()}_{hour}.jsonl.gz"
        yield write_file(path, text.encode(), text.count("\n"))


def write_spot(folder: Path, feed: Feed, period: Period) -> Iterator[SampleFile]:
    """Write a plain file a busy hour: depth and aggregated trades, without the receive time."""
    listing = feed.listing
    changes = changes_of(feed.book, BID), changes_of(feed.book, ASK)
    for session, (begin, end) in zip(feed.sessions, feed.busy, strict=True):
        hour = _hour(begin)
        rng = generator(period.seed, "capture", listing.exchange, listing.symbol, hour)
        lost = _lost(session)
        lines = [
            *_depth(feed, session, lost, changes, rng, is_spot=True),
            *_spot_trades(feed, session, rng),
        ]
        lines = _connected(lines, feed, (begin, end), lost)
        text = "".join(f"{line.text}\n" for line in _arrived(lines))
        path = folder / f"capture/{listing.exchange}/{listing.symbol.lower()}_{hour}.jsonl"
        yield write_file(path, text.encode(), text.count("\n"))


def _hour(begin_us: int) -> str:
    return f"{datetime.fromtimestamp(begin_us // 10**6, UTC):%Y%m%d%H}"


def _lost(session: range) -> range:
    """Return the events that a lost connection took."""
    begin = session.start + len(session) * 3 // 5
    return range(begin, begin + max(10, len(session) // 60))


def _depth(
    feed: Feed,
    session: range,
    lost: range,
    changes: tuple[Changes, Changes],
    rng: np.random.Generator,
    *,
    is_spot: bool,
) -> Iterator[_Line]:
    book, listing = feed.book, feed.listing
    sides = [side.by_event(session) for side in changes]
    skipped = rng.integers(0, 30, len(session)) if not is_spot else np.zeros(len(session), int)
    again = set(range(session.stop - 40, session.stop - 10, 10))
    for number, event in enumerate(session):
        before, last_id = int(book.update_id[event - 1]), int(book.update_id[event])
        if event == 0:
            before = last_id - 40
        bids, asks = (_levels(listing, side.get(event, ()), is_spot) for side in sides)
        first_id = before + 1 + int(skipped[number])
        at_ms = int(book.ts_us[event]) // 1_000
        head = f'"s":"{listing.symbol}","U":{first_id},"u":{last_id}'
        levels = f'"b":{bids},"a":{asks}'
        if is_spot:
            text = f'{{"e":"depthUpdate","E":{at_ms},{head},{levels}}}'
        else:
            text = _stream(
                f"{listing.symbol.lower()}@depth@0ms",
                f'"e":"depthUpdate","E":{at_ms + 1},"T":{at_ms},{head},"pu":{before},{levels}',
            )
        for _ in range(2 if event in again else 1):
            yield _Line(at_ms * 1_000, 3, text)
    for event in (session.start + CONNECTING, lost.stop + CONNECTING):
        yield _snapshot(feed, event, int(skipped[event + 1 - session.start]), is_spot)


def _snapshot(feed: Feed, event: int, skipped: int, is_spot: bool) -> _Line:
    """Return the book after an event; the answer comes when later events are there already."""
    book, listing = feed.book, feed.listing
    bids, asks = (_levels(listing, book.levels(event, side), is_spot) for side in (BID, ASK))
    at_ms = int(book.ts_us[event]) // 1_000
    last_id = int(book.update_id[event])
    times = ""
    if not is_spot:
        # Inside the next event, which is the first to be used, as it is most of the time.
        last_id += 1 + skipped
        times = f'"E":{at_ms + 8},"T":{at_ms},'
    text = f'{{"lastUpdateId":{last_id},{times}"bids":{bids},"asks":{asks}}}'
    return _Line(int(book.ts_us[event + CONNECTING - 2]), 4, text)


def _levels(listing: Listing, levels: Iterable[tuple[int, int]], is_spot: bool) -> str:
    digits = SPOT_DIGITS if is_spot else None
    texts = (
        f'["{fixed(price, listing.price_digits, digits)}",'
        f'"{fixed(size, listing.size_digits, digits)}"]'
        for price, size in levels
    )
    return f"[{','.join(texts)}]"


def _futures_trades(feed: Feed, session: range, rng: np.random.Generator) -> Iterator[_Line]:
    trades, listing = feed.trades, feed.listing
    stream = f"{listing.symbol.lower()}@trade"
    first, last = np.searchsorted(trades.event, [session.start, session.stop]).tolist()
    ids = trades.id
    for row in range(first, last):
        at_ms = int(trades.ts_us[row]) // 1_000
        head = f'"e":"trade","E":{at_ms},"T":{at_ms},"s":"{listing.symbol}"'
        if row and ids[row] != ids[row - 1] + 1:
            nothing = f'{head},"t":{ids[row] - 1},"p":"0","q":"0","X":"NA","m":true'
            yield _Line(at_ms * 1_000, 0, _stream(stream, nothing))
        text = _stream(
            stream,
            f'{head},"t":{ids[row]},"p":"{fixed(int(trades.price[row]), listing.price_digits)}",'
            f'"q":"{fixed(int(trades.size[row]), listing.size_digits)}","X":"MARKET",'
            f'"m":{"false" if trades.is_buy[row] else "true"}',
        )
        yield from _faulty(at_ms * 1_000, 0, text, rng)


def _spot_trades(feed: Feed, session: range, rng: np.random.Generator) -> Iterator[_Line]:
    trades, listing = feed.trades, feed.listing
    first, last = np.searchsorted(trades.event, [session.start, session.stop]).tolist()
    for group in trades.groups(first, last):
        row = group.start
        at_ms = int(trades.ts_us[row]) // 1_000
        size = int(trades.size[group.start : group.stop].sum())
        text = (
            f'{{"e":"aggTrade","E":{at_ms},"s":"{listing.symbol}","a":{trades.group_id[row]},'
            f'"p":"{fixed(int(trades.price[row]), listing.price_digits, SPOT_DIGITS)}",'
            f'"q":"{fixed(size, listing.size_digits, SPOT_DIGITS)}",'
            f'"f":{trades.id[row]},"l":{trades.id[group.stop - 1]},"T":{at_ms},'
            f'"m":{"false" if trades.is_buy[row] else "true"},"M":true}}'
        )
        yield from _faulty(at_ms * 1_000, 0, text, rng)


def _tickers(feed: Feed, session: range, rng: np.random.Generator) -> Iterator[_Line]:
    """Best prices: with most depth events the same, under their id, and between two of them."""
    book = feed.book
    bid_best, ask_best = book.best_bid.tolist(), book.best_ask.tolist()
    bid_lots, ask_lots = book.bid_lots[:, 0].tolist(), book.ask_lots[:, 0].tolist()
    chances = rng.random((len(session), 2))
    for number, event in enumerate(session):
        if not book.is_sound[event]:
            continue
        at_us, last_id = int(book.ts_us[event]), int(book.update_id[event])
        before = event - 1
        if chances[number, 0] < 0.5 and before >= 0 and book.is_sound[before]:
            bid, ask = (bid_best[before], bid_lots[before]), (ask_best[event], ask_lots[event])
            if bid[0] < ask[0]:
                between = (int(book.ts_us[before]) + at_us) // 2
                text = _ticker(feed, last_id - 1, between, bid, ask)
                yield from _faulty(between, 1, text, rng)
        if chances[number, 1] < 0.6:
            bid, ask = (bid_best[event], bid_lots[event]), (ask_best[event], ask_lots[event])
            yield from _faulty(at_us, 2, _ticker(feed, last_id, at_us, bid, ask), rng)


def _ticker(
    feed: Feed, update_id: int, at_us: int, bid: tuple[int, int], ask: tuple[int, int]
) -> str:
    listing = feed.listing
    (bid_price, bid_size), (ask_price, ask_size) = (
        (
            fixed(ticks * listing.tick, listing.price_digits),
            fixed(lots * listing.lot, listing.size_digits),
        )
        for ticks, lots in (bid, ask)
    )
    return _stream(
        f"{listing.symbol.lower()}@bookTicker",
        f'"e":"bookTicker","u":{update_id},"s":"{listing.symbol}","b":"{bid_price}",'
        f'"B":"{bid_size}","a":"{ask_price}","A":"{ask_size}","T":{at_us // 1_000},'
        f'"E":{at_us // 1_000}',
    )


def _marks(derivative: Derivative, begin_us: int, end_us: int) -> Iterator[_Line]:
    first = -(-begin_us // MARK_EVERY_US) * MARK_EVERY_US
    times = np.arange(first, end_us, MARK_EVERY_US)
    marks, indexes = derivative.mark_price(times), derivative.index_price(times)
    symbol = derivative.listing.symbol
    for at_us, mark, index in zip(times.tolist(), marks.tolist(), indexes.tolist(), strict=True):
        paid_at = derivative.next_funding_us(at_us)
        yield _Line(
            at_us,
            5,
            _stream(
                f"{symbol.lower()}@markPrice",
                f'"e":"markPriceUpdate","E":{at_us // 1_000},"s":"{symbol}","p":"{mark:.8f}",'
                f'"P":"{mark:.8f}","i":"{index:.8f}",'
                f'"r":"{derivative.funding_rate(paid_at):.8f}","T":{paid_at // 1_000}',
            ),
        )


def _stream(name: str, data: str) -> str:
    return f'{{"stream":"{name}","data":{{{data}}}}}'


def _faulty(at_us: int, rank: int, text: str, rng: np.random.Generator) -> Iterator[_Line]:
    """Yield a line that now and then comes late, or twice."""
    chance = rng.random()
    if chance < LATE_SHARE:
        yield _Line(at_us + int(rng.integers(2_000_000, 9_000_000)), rank, text)
        return
    yield _Line(at_us, rank, text)
    if chance > 1 - TWICE_SHARE:
        yield _Line(at_us + int(rng.integers(0, 200_000)), rank, text)


def _connected(lines: list[_Line], feed: Feed, hour: tuple[int, int], lost: range) -> list[_Line]:
    """Leave out what arrived in another hour, and while there was no connection."""
    times = feed.book.ts_us
    gone, back = int(times[lost.start]), int(times[lost.stop])
    return [
        line for line in lines if hour[0] <= line.at_us < hour[1] and not gone <= line.at_us < back
    ]


def _arrived(lines: list[_Line]) -> list[_Line]:
    """Return the lines in order of arrival."""
    return sorted(lines, key=lambda line: (line.at_us, line.rank))


def _received(lines: list[_Line], begin_us: int, rng: np.random.Generator) -> str:
    """Return the file: each line with the receive clock's nanoseconds, which never go back."""
    arrived = _arrived(lines)
    latency = 4_000_000 + rng.exponential(3_000_000, len(arrived)).astype(np.int64)
    sent = np.array([line.at_us for line in arrived], np.int64)
    received = np.maximum.accumulate((sent - CLOCK_BEHIND_US) * 1_000 + latency)
    received += np.arange(len(received)) * 100
    texts = [f"{(begin_us - CLOCK_BEHIND_US) * 1_000 + 5_000} {CONTROL_LINE}\n"]
    texts += [f"{at} {line.text}\n" for at, line in zip(received.tolist(), arrived, strict=True)]
    return "".join(texts)
