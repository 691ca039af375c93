"""The simulated market as raw tables, without a source format between: bulk for benchmarks.

An hour at a time, so that a million book rows need no more memory than an hour of them.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
import pyarrow as pa

from ticklake.sample.derivatives import HOUR_US
from ticklake.sample.feeds import Period
from ticklake.sample.listings import Listing
from ticklake.sample.prices import generator
from ticklake.sample.simulation import (
    ASK,
    BID,
    FAULTS,
    Book,
    Ints,
    Trades,
    event_times,
    simulate_book,
    trades_of,
)

TIME: Final = pa.timestamp("us", tz="UTC")
DECIMAL_SCALE: Final = 12
LATENCY_US: Final = 4_000
IDS_PER_HOUR: Final = 10**8
UPDATES_PER_HOUR: Final = 10**10


def raw_hours(
    listing: Listing, period: Period, rows_per_hour: int, *, levels: int = 10, faults: bool = True
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield the `order_book` and `trades` rows of each hour; there are about 0.6 trades a row.

    The columns are those of the raw channels but `extra`, and `first_id` and `last_id` of trades.
    Each hour begins with a reset.
    """
    path = period.paths()[listing.asset]
    for hour, begin in enumerate(range(period.begin_us, period.end_us, HOUR_US)):
        rng = generator(period.seed, "raw", listing.exchange, listing.symbol, str(begin))
        ts_us = event_times(rng, begin, begin + HOUR_US, rows_per_hour)
        kinds = len(FAULTS) if faults else 0
        faults_at = [(kind + 1) * rows_per_hour // 7 for kind in range(kinds)]
        book = simulate_book(
            listing, path, ts_us, rng, levels=levels, density=1.0, faults_at=faults_at
        )
        trades = trades_of(book, rng, (hour + 1) * IDS_PER_HOUR)
        yield order_book_table(book, hour * UPDATES_PER_HOUR), trades_table(trades)


def order_book_table(book: Book, first_update: int = 0) -> pa.Table:
    """Return book rows; only the first is a reset."""
    is_reset = np.zeros(len(book), np.bool_)
    is_reset[:1] = True
    return pa.table(
        {
            "ts_event": pa.array(book.ts_us, TIME),
            "ts_capture": pa.array(_captured(book.ts_us), TIME),
            "seq": book.update_id + first_update,
            "is_reset": is_reset,
            "bids": _levels(book, BID),
            "asks": _levels(book, ASK),
        }
    )


def trades_table(trades: Trades) -> pa.Table:
    """Return trades, one a print."""
    listing = trades.listing
    sides = pa.DictionaryArray.from_arrays(
        pa.array(trades.is_buy).cast(pa.int8()), pa.array(["sell", "buy"])
    )
    return pa.table(
        {
            "ts_event": pa.array(trades.ts_us, TIME),
            "ts_capture": pa.array(_captured(trades.ts_us), TIME),
            "trade_id": pa.array(trades.id).cast(pa.string()),
            "price": _decimals(trades.price, listing.price_digits),
            "size": _decimals(trades.size, listing.size_digits),
            "side": sides.cast(pa.string()),
        }
    )


def _captured(ts_us: Ints) -> Ints:
    captured: Ints = np.maximum.accumulate(ts_us + LATENCY_US + ts_us % 977)
    return captured


def _levels(book: Book, side: int) -> pa.ListArray:
    listing = book.listing
    best, lots = (book.best_bid, book.bid_lots) if side == BID else (book.best_ask, book.ask_lots)
    row, level = np.nonzero(lots)
    price = (best[row] - side * level) * listing.tick / 10**listing.price_digits
    size = lots[row, level] * listing.lot / 10**listing.size_digits
    ends = np.cumsum(np.count_nonzero(lots, axis=1))
    offsets = pa.array(np.append(0, ends).astype(np.int32))
    structs = pa.StructArray.from_arrays([pa.array(price), pa.array(size)], ["price", "size"])
    return pa.ListArray.from_arrays(offsets, structs)


def _decimals(units: Ints, digits: int) -> pa.Array:
    """Return units as decimal(38, 12): each value is 128 bits, of which these fill the lower 64."""
    words = np.zeros((len(units), 2), np.int64)
    words[:, 0] = units * 10 ** (DECIMAL_SCALE - digits)
    kind = pa.decimal128(38, DECIMAL_SCALE)
    return pa.Array.from_buffers(kind, len(units), [None, pa.py_buffer(words)])
