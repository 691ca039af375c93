"""Klines as an exchange makes them: one a minute, from the trades and nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from ticklake.sample.feeds import MINUTE_US
from ticklake.sample.listings import fixed
from ticklake.sample.simulation import Trades

HEADER: Final = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
    "taker_buy_volume,taker_buy_quote_volume,ignore"
)


@dataclass(frozen=True, slots=True)
class _Minute:
    """Prices and volumes in units of the listing; quote volumes in products of both."""

    open: int
    high: int
    low: int
    close: int
    volume: int = 0
    quote: int = 0
    count: int = 0
    bought: int = 0
    bought_quote: int = 0


def kline_lines(
    trades: Trades, begin_us: int, end_us: int, *, shown: int | None = None, unit_us: int = 1_000
) -> Iterator[str]:
    """Yield a CSV line a minute; one without trades repeats the close of the one before.

    `shown` digits are written, by default the listing's own; times are in units of `unit_us`.
    """
    listing = trades.listing
    price_digits, size_digits = listing.price_digits, listing.size_digits
    quote_digits = price_digits + size_digits
    first = int(np.searchsorted(trades.ts_us, begin_us))
    close = int(trades.price[max(first - 1, 0)])
    for opens in range(begin_us, end_us, MINUTE_US):
        last = int(np.searchsorted(trades.ts_us, opens + MINUTE_US))
        minute = _aggregate(trades, slice(first, last), close)
        first, close = last, minute.close
        prices = (minute.open, minute.high, minute.low, minute.close)
        yield ",".join(
            (
                str(opens // unit_us),
                *(fixed(price, price_digits, shown) for price in prices),
                fixed(minute.volume, size_digits, shown),
                str((opens + MINUTE_US) // unit_us - 1),
                fixed(minute.quote, quote_digits, shown),
                str(minute.count),
                fixed(minute.bought, size_digits, shown),
                fixed(minute.bought_quote, quote_digits, shown),
                "0",
            )
        )


def _aggregate(trades: Trades, rows: slice, close: int) -> _Minute:
    price, size, is_buy = trades.price[rows], trades.size[rows], trades.is_buy[rows]
    if not len(price):
        return _Minute(close, close, close, close)
    quote = price * size
    return _Minute(
        int(price[0]),
        int(price.max()),
        int(price.min()),
        int(price[-1]),
        int(size.sum()),
        int(quote.sum()),
        len(price),
        int(size[is_buy].sum()),
        int(quote[is_buy].sum()),
    )
