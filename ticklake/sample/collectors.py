"""Files of other collectors: Parquet segments with column names of their own, and a CSV.

`spool/ccxt/{ticker,trades,orderbook}/segment_<from>_<to>.parquet` holds what ccxt returns, all
symbols of all venues together; `spool/exchange=/stream=/symbol=/<time>.parquet` one stream each,
with flat levels.
"""

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.sample.feeds import Feed
from ticklake.sample.files import SampleFile, write_file
from ticklake.sample.listings import fixed, plain
from ticklake.sample.simulation import ASK, BID, Ints

NESTED_LEVELS = 10
FLAT_LEVELS = 5
CAPTURE_DELAY_US = 85_000


def write_ccxt(folder: Path, feed: Feed) -> Iterator[SampleFile]:
    """Write a segment a busy hour and kind, as ccxt names things: ms, `amount`, nested levels."""
    for (begin_us, end_us), session in zip(feed.busy, feed.sessions, strict=True):
        tables = {
            "ticker": _tickers(feed, session),
            "trades": _trades(feed, session),
            "orderbook": _order_books(feed, session),
        }
        begin, end = (datetime.fromtimestamp(at // 10**6, UTC) for at in (begin_us, end_us))
        name = f"segment_{begin:%Y%m%dT%H%M%S}_{end:%Y%m%dT%H%M%S}.parquet"
        for kind, columns in tables.items():
            yield _write(folder / f"spool/ccxt/{kind}/{name}", columns)


def write_streams(folder: Path, feed: Feed) -> Iterator[SampleFile]:
    """Write the best prices, and five flat levels, of each busy hour."""
    listing = feed.listing
    for (begin_us, _), session in zip(feed.busy, feed.sessions, strict=True):
        begin = datetime.fromtimestamp(begin_us // 10**6, UTC)
        for stream, columns in (("bbo", _best(feed, session)), ("depth5", _flat(feed, session))):
            place = f"exchange={listing.exchange}/stream={stream}/symbol={listing.symbol.lower()}"
            yield _write(folder / f"spool/{place}/{begin:%Y-%m-%d_%H-%M-%S}.parquet", columns)


def write_csv(folder: Path, feed: Feed) -> Iterator[SampleFile]:
    """Write one CSV of trades as people keep them: ISO times without a zone, plain names."""
    trades, listing = feed.trades, feed.listing
    lines = ["time,price,size,side,trade_id\n"]
    for row in range(len(trades)):
        seconds, fraction = divmod(int(trades.ts_us[row]), 10**6)
        at = datetime.fromtimestamp(seconds, UTC)
        lines.append(
            f"{at:%Y-%m-%dT%H:%M:%S}.{fraction:06d},"
            f"{fixed(int(trades.price[row]), listing.price_digits)},"
            f"{plain(int(trades.size[row]), listing.size_digits)},"
            f"{'buy' if trades.is_buy[row] else 'sell'},{trades.id[row]}\n"
        )
    path = folder / f"csv/{listing.exchange}_{listing.symbol}.csv"
    yield write_file(path, "".join(lines).encode(), len(trades))


def _trades(feed: Feed, session: range) -> dict[str, Any]:
    trades, listing = feed.trades, feed.listing
    rows = slice(*np.searchsorted(trades.event, [session.start, session.stop]))
    times = trades.ts_us[rows]
    return {
        "exchange": [listing.exchange] * len(times),
        "symbol": [listing.symbol] * len(times),
        "id": [str(number) for number in trades.id[rows].tolist()],
        "timestamp": times // 1_000,
        "price": trades.price[rows] / 10**listing.price_digits,
        "amount": trades.size[rows] / 10**listing.size_digits,
        "side": ["buy" if is_buy else "sell" for is_buy in trades.is_buy[rows].tolist()],
        "capture_ts": _captured(times),
    }


def _tickers(feed: Feed, session: range) -> dict[str, Any]:
    best = _best(feed, session)
    listing, count = feed.listing, len(best["seq"])
    return {
        "exchange": [listing.exchange] * count,
        "symbol": [listing.symbol] * count,
        "timestamp": best["ts_event"].cast(pa.int64()).to_numpy() // 1_000,
        "bid": best["bid_px"],
        "bidVolume": best["bid_qty"],
        "ask": best["ask_px"],
        "askVolume": best["ask_qty"],
        "capture_ts": best["capture_ts"],
    }


def _order_books(feed: Feed, session: range) -> dict[str, Any]:
    listing, times = feed.listing, feed.book.ts_us[session.start : session.stop]
    levels = pa.list_(pa.list_(pa.float64()))
    return {
        "exchange": [listing.exchange] * len(session),
        "symbol": [listing.symbol] * len(session),
        "timestamp": times // 1_000,
        "nonce": feed.book.update_id[session.start : session.stop],
        "bids": pa.array(_levels(feed, session, BID, NESTED_LEVELS), levels),
        "asks": pa.array(_levels(feed, session, ASK, NESTED_LEVELS), levels),
        "capture_ts": _captured(times),
    }


def _best(feed: Feed, session: range) -> dict[str, Any]:
    book, listing = feed.book, feed.listing
    rows = session.start + np.flatnonzero(book.is_sound[session.start : session.stop])
    price, size = 10**listing.price_digits, 10**listing.size_digits
    return {
        "capture_ts": _captured(book.ts_us[rows]),
        "ts_event": _instants(book.ts_us[rows]),
        "seq": book.update_id[rows],
        "bid_px": book.best_bid[rows] * listing.tick / price,
        "bid_qty": book.bid_lots[rows, 0] * listing.lot / size,
        "ask_px": book.best_ask[rows] * listing.tick / price,
        "ask_qty": book.ask_lots[rows, 0] * listing.lot / size,
    }


def _flat(feed: Feed, session: range) -> dict[str, Any]:
    """Return the levels in columns of their own, null where there is none."""
    times = feed.book.ts_us[session.start : session.stop]
    columns: dict[str, Any] = {
        "capture_ts": _captured(times),
        "ts_event": _instants(times),
        "seq": feed.book.update_id[session.start : session.stop],
    }
    for name, side in (("bid", BID), ("ask", ASK)):
        levels = _levels(feed, session, side, FLAT_LEVELS)
        for level in range(FLAT_LEVELS):
            for field, part in (("px", 0), ("qty", 1)):
                values = [row[level][part] if level < len(row) else None for row in levels]
                columns[f"{name}_{field}_{level + 1}"] = pa.array(values, pa.float64())
    return columns


def _levels(feed: Feed, session: range, side: int, count: int) -> list[list[list[float]]]:
    listing = feed.listing
    price_unit, size_unit = 10**listing.price_digits, 10**listing.size_digits
    return [
        [
            [price / price_unit, size / size_unit]
            for price, size in feed.book.levels(event, side)[:count]
        ]
        for event in session
    ]


def _captured(ts_us: Ints) -> pa.Array:
    return _instants(ts_us + CAPTURE_DELAY_US + ts_us % 7_919)


def _instants(ts_us: Ints) -> pa.Array:
    return pa.array(ts_us, pa.timestamp("us", tz="UTC"))


def _write(path: Path, columns: dict[str, Any]) -> SampleFile:
    table = pa.table(columns)
    packed = io.BytesIO()
    pq.write_table(table, packed, compression="zstd")
    return write_file(path, packed.getvalue(), table.num_rows)
