"""Public files of Binance: ZIPs of one CSV with a `.CHECKSUM` beside each, as data.binance.vision.

Futures files have a header and milliseconds; spot files have neither: their times have been
microseconds since 2025.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from ticklake.sample.derivatives import HOUR_US, Derivative
from ticklake.sample.feeds import DAY_US, MINUTE_US, Feed, Period
from ticklake.sample.files import SampleFile, write_zip
from ticklake.sample.klines import HEADER, kline_lines
from ticklake.sample.listings import fixed

TRADES = "id,price,qty,quote_qty,time,is_buyer_maker"
AGG_TRADES = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
TICKERS = (
    "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time"
)
FUNDING = "calc_time,funding_interval_hours,last_funding_rate"
FUTURES = "data/futures/um"
SPOT = "data/spot"
SPOT_DIGITS = 8


def write_klines(root: Path, feed: Feed, period: Period) -> Iterator[SampleFile]:
    """Write the 1m klines of a futures symbol: the sums of its trades."""
    symbol = feed.listing.symbol
    for day in period.day_begins():
        lines = [HEADER, *kline_lines(feed.trades, day, day + DAY_US)]
        yield _daily(root, f"{FUTURES}/daily/klines/{symbol}/1m", f"{symbol}-1m", day, lines)


def write_trades(root: Path, feed: Feed, period: Period) -> Iterator[SampleFile]:
    """Write every trade of a futures symbol."""
    trades, listing = feed.trades, feed.listing
    price_digits, size_digits = listing.price_digits, listing.size_digits
    for day in period.day_begins():
        first, last = np.searchsorted(trades.ts_us, [day, day + DAY_US]).tolist()
        lines = [TRADES]
        for row in range(first, last):
            price, size = int(trades.price[row]), int(trades.size[row])
            lines.append(
                f"{trades.id[row]},{fixed(price, price_digits)},{fixed(size, size_digits)},"
                f"{fixed(price * size, price_digits + size_digits)},{trades.ts_us[row] // 1_000},"
                f"{'false' if trades.is_buy[row] else 'true'}"
            )
        folder = f"{FUTURES}/daily/trades/{listing.symbol}"
        yield _daily(root, folder, f"{listing.symbol}-trades", day, lines)


def write_agg_trades(root: Path, feed: Feed, period: Period) -> Iterator[SampleFile]:
    """Write the aggregated trades of a symbol, futures or spot."""
    listing = feed.listing
    is_spot = listing.exchange == "binance"
    market = SPOT if is_spot else FUTURES
    for day in period.day_begins():
        lines = [] if is_spot else [AGG_TRADES]
        lines += _agg_lines(feed, day, is_spot=is_spot)
        folder = f"{market}/daily/aggTrades/{listing.symbol}"
        yield _daily(root, folder, f"{listing.symbol}-aggTrades", day, lines)


def write_spot_klines(root: Path, feed: Feed, period: Period) -> Iterator[SampleFile]:
    """Write the 1m klines of a spot symbol: no header, microseconds, eight digits."""
    symbol = feed.listing.symbol
    for day in period.day_begins():
        lines = list(kline_lines(feed.trades, day, day + DAY_US, shown=SPOT_DIGITS, unit_us=1))
        yield _daily(root, f"{SPOT}/daily/klines/{symbol}/1m", f"{symbol}-1m", day, lines)


def write_tickers(root: Path, feed: Feed, period: Period) -> Iterator[SampleFile]:
    """Write the best prices of a futures symbol after each event of its sound book."""
    book, listing = feed.book, feed.listing
    tick, lot = listing.tick, listing.lot
    for day in period.day_begins():
        first, last = np.searchsorted(book.ts_us, [day, day + DAY_US]).tolist()
        lines = [TICKERS]
        for event in range(first, last):
            if not book.is_sound[event]:
                continue
            at_ms = book.ts_us[event] // 1_000
            bid, ask = (
                f"{fixed(int(best) * tick, listing.price_digits)},"
                f"{fixed(int(lots) * lot, listing.size_digits)}"
                for best, lots in (
                    (book.best_bid[event], book.bid_lots[event, 0]),
                    (book.best_ask[event], book.ask_lots[event, 0]),
                )
            )
            lines.append(f"{book.update_id[event]},{bid},{ask},{at_ms},{at_ms + 1}")
        folder = f"{FUTURES}/daily/bookTicker/{listing.symbol}"
        yield _daily(root, folder, f"{listing.symbol}-bookTicker", day, lines)


def write_mark_klines(root: Path, derivative: Derivative, period: Period) -> Iterator[SampleFile]:
    """Write 1m klines of the mark price, which is set each second: no volume, a count of 60."""
    symbol = derivative.listing.symbol
    for day in period.day_begins():
        seconds = np.arange(day, day + DAY_US, 10**6)
        prices = derivative.mark_price(seconds).reshape(-1, MINUTE_US // 10**6)
        lines = [HEADER]
        for minute, marks in enumerate(prices):
            opens = (day + minute * MINUTE_US) // 1_000
            shown = (marks[0], marks.max(), marks.min(), marks[-1])
            texts = ",".join(f"{price:.8f}" for price in shown)
            lines.append(f"{opens},{texts},0,{opens + MINUTE_US // 1_000 - 1},0,60,0,0,0")
        folder = f"{FUTURES}/daily/markPriceKlines/{symbol}/1m"
        yield _daily(root, folder, f"{symbol}-1m", day, lines)


def write_funding(root: Path, derivative: Derivative, period: Period) -> Iterator[SampleFile]:
    """Write what was paid in each month, as far as the days of the sample go."""
    symbol, interval = derivative.listing.symbol, derivative.interval_hours
    months: dict[str, list[str]] = {}
    for paid_at in range(period.begin_us, period.end_us, interval * HOUR_US):
        rate = derivative.funding_rate(paid_at)
        lines = months.setdefault(f"{_instant(paid_at):%Y-%m}", [FUNDING])
        lines.append(f"{paid_at // 1_000},{interval},{rate:.8f}")
    for month, lines in months.items():
        path = root / f"{FUTURES}/monthly/fundingRate/{symbol}/{symbol}-fundingRate-{month}.zip"
        yield write_zip(path, "".join(f"{line}\n" for line in lines), len(lines) - 1)


def _agg_lines(feed: Feed, day: int, *, is_spot: bool) -> Iterator[str]:
    trades, listing = feed.trades, feed.listing
    shown = SPOT_DIGITS if is_spot else None
    first, last = np.searchsorted(trades.ts_us, [day, day + DAY_US]).tolist()
    for group in trades.groups(first, last):
        row = group.start
        size = int(trades.size[group.start : group.stop].sum())
        line = (
            f"{trades.group_id[row]},{fixed(int(trades.price[row]), listing.price_digits, shown)},"
            f"{fixed(size, listing.size_digits, shown)},{trades.id[row]},"
            f"{trades.id[group.stop - 1]},"
        )
        if is_spot:
            is_maker = "False" if trades.is_buy[row] else "True"
            yield f"{line}{trades.ts_us[row]},{is_maker},True"
        else:
            is_maker = "false" if trades.is_buy[row] else "true"
            yield f"{line}{trades.ts_us[row] // 1_000},{is_maker}"


def _daily(root: Path, folder: str, stem: str, day_us: int, lines: list[str]) -> SampleFile:
    path = root / folder / f"{stem}-{_instant(day_us):%Y-%m-%d}.zip"
    has_header = not lines[0][0].isdigit()
    return write_zip(path, "".join(f"{line}\n" for line in lines), len(lines) - has_header)


def _instant(ts_us: int) -> datetime:
    return datetime.fromtimestamp(ts_us // 10**6, UTC)
