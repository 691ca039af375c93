"""Which objects the archive has: their paths, their names in the lake, the days they hold.

A file holds one symbol, kind of data and period, which is a day (`2025-08-01`) or a month
(`2025-08`). Some kinds of data are published by the month only, some have ceased.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from typing import Final

ARCHIVE: Final = "https://data.binance.vision"

EXCHANGES: Final = {"spot": "binance", "um": "binance-futures", "cm": "binance-delivery"}
"""Market to exchange, as Tardis calls it."""
FOLDERS: Final = {"spot": "spot", "um": "futures/um", "cm": "futures/cm"}

CHANNELS: Final = {
    "klines": "klines",
    "trades": "trades",
    "aggTrades": "trades",
    "fundingRate": "funding_rates",
    "markPriceKlines": "mark_prices",
    "bookTicker": "tickers",
}
"""Kind of data to raw channel."""
OF_SPOT: Final = ("klines", "trades", "aggTrades")
WITH_INTERVAL: Final = ("klines", "markPriceKlines")
INTERVALS: Final = (
    *("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h"),
    *("1d", "3d", "1w", "1mo"),
)
LONG_INTERVALS: Final = ("3d", "1w", "1mo")

_NAME: Final = re.compile(
    rf"({'|'.join(EXCHANGES)})-(\w+)-({'|'.join(CHANNELS)})"
    rf"(?:-({'|'.join(INTERVALS)}))?-([0-9]{{4}}-[0-9]{{2}}(?:-[0-9]{{2}})?)"
)


@dataclass(frozen=True, slots=True)
class Series:
    """The files of one symbol and kind of data."""

    market: str
    data: str
    symbol: str
    interval: str | None = None
    """Of klines and mark price klines."""

    def path(self, period: str) -> str:
        """Return the path of the file of a period, below the root of the source."""
        cadence = "monthly" if is_month(period) else "daily"
        inner = f"{self.interval}/" if self.interval else ""
        folder = f"data/{FOLDERS[self.market]}/{cadence}/{self.data}/{self.symbol}/{inner}"
        return f"{folder}{self.symbol}-{self.interval or self.data}-{period}.zip"

    def odd_paths(self, period: str) -> list[str]:
        """Return other paths that the archive has for some files: numbers without a zero."""
        parts = [{part, part.removeprefix("0")} for part in period.split("-")]
        names = {"-".join(numbers) for numbers in product(*parts)} - {period}
        return [
            self.path(period).replace(f"-{period}.zip", f"-{name}.zip") for name in sorted(names)
        ]

    def name(self, period: str) -> str:
        """Return the name of a period's segments: unique, and by time within a partition."""
        inner = f"{self.interval}-" if self.interval else ""
        return f"{self.market}-{self.symbol}-{self.data}-{inner}{period}"

    @property
    def exchange(self) -> str:
        """The exchange that its rows belong to."""
        return EXCHANGES[self.market]

    @property
    def id_column(self) -> str | None:
        """The column of its files that numbers rows one by one, None if none does."""
        return {"trades": "id", "aggTrades": "agg_trade_id"}.get(self.data)

    @property
    def rows_a_day(self) -> int | None:
        """Rows of a whole day, None if days differ."""
        seconds = interval_seconds(self.interval) if self.interval else None
        return 86_400 // seconds if seconds else None

    @property
    def has_rows_every_day(self) -> bool:
        """Whether a day without rows is a hole: longer candles begin on some days only."""
        return self.interval not in LONG_INTERVALS


@dataclass(frozen=True, slots=True)
class Span:
    """Some days of one month that are wanted, in order."""

    month: str
    days: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether these are all days of the month."""
        return len(self.days) == len(days_of(self.month))


def interval_seconds(interval: str) -> int | None:
    """Return the length of the candles of an interval, None if they are longer than a day."""
    if interval in LONG_INTERVALS:
        return None
    return int(interval[:-1]) * {"s": 1, "m": 60, "h": 3_600, "d": 86_400}[interval[-1]]


def parse_name(name: str) -> tuple[Series, str] | None:
    """Return the series and the period that a name of segments stands for."""
    shape = _NAME.fullmatch(name)
    if shape is None:
        return None
    market, symbol, data, interval, period = shape.groups()
    return Series(market, data, symbol, interval), period


def spans(start: date, end: date) -> list[Span]:
    """Return the months from one day to another, both included, and which of their days lie in."""
    count = (end - start).days + 1
    days = [str(start + timedelta(index)) for index in range(count)]
    months = sorted({day[:7] for day in days})
    return [Span(month, tuple(day for day in days if day[:7] == month)) for month in months]


def months_back(today: date, count: int) -> list[str]:
    """Return the latest months, the current one first."""
    last = today.year * 12 + today.month - 1
    return [f"{index // 12:04}-{index % 12 + 1:02}" for index in range(last, last - count, -1)]


def is_month(period: str) -> bool:
    """Return whether a period is a month and not a day."""
    return len(period) == len("2025-08")


def days_of(period: str) -> Sequence[str]:
    """Return the days of a month, or the one day that a period is."""
    if not is_month(period):
        return (period,)
    first = date.fromisoformat(f"{period}-01")
    after = (first + timedelta(31)).replace(day=1)
    return [str(first + timedelta(index)) for index in range((after - first).days)]
