"""Candles that an exchange leaves out, days that are missing, and ids that are missing."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.integration.odd import Command, land_with

EXCHANGE = "holes"
START = datetime(2025, 3, 1, tzinfo=UTC)
TRADED_MINUTES = (0, 1, 4, 5, 9, 30, 31, 90, 2000, 2001)
"""Minutes of a quiet symbol that had a trade. The longest pause is more than a day."""


def _trades(file: Path, times: list[datetime], ids: list[int]) -> Path:
    rows = [
        f"{time.isoformat()},{number},10,1,buy\n" for time, number in zip(times, ids, strict=True)
    ]
    file.write_text("time,id,price,size,side\n" + "".join(rows))
    return file


def _seconds(count: int, day: int = 0) -> list[datetime]:
    return [START + timedelta(days=day, seconds=10 * number) for number in range(count)]


def write(folder: Path) -> list[Command]:
    minutes = [START + timedelta(minutes=minute) for minute in TRADED_MINUTES]
    quiet = _trades(folder / "quiet.csv", minutes, list(range(1, 1 + len(minutes))))
    candles = folder / "candles.csv"
    rows = [f"{minute.isoformat()},10,10,10,10,1\n" for minute in minutes]
    candles.write_text("open_time,open,high,low,close,volume\n" + "".join(rows))

    days = _trades(
        folder / "days.csv", [*_seconds(3), *_seconds(3, day=3)], [1, 2, 3, 1004, 1005, 1006]
    )
    marks = folder / "marks.csv"
    marks.write_text("time,mark_price\n2025-03-01T12:00:00Z,10\n2025-03-04T06:00:00Z,11\n")

    single = _trades(
        folder / "single.csv", _seconds(16), [*range(100, 106), 107, 108, *range(120, 128)]
    )
    shared = _trades(folder / "shared.csv", _seconds(5), [1, 40, 77, 300, 9000])
    trades = ("--channel", "trades", "--exchange", EXCHANGE, "--symbol")
    return [
        land_with("csv", quiet, *trades, "QUIET"),
        land_with(
            "csv", candles, "--channel", "klines", "--exchange", EXCHANGE, "--symbol", "QUIET",
            "--interval", "1m",
        ),
        land_with("csv", days, *trades, "DAYS"),
        land_with(
            "csv", marks, "--channel", "mark_prices", "--exchange", EXCHANGE, "--symbol", "DAYS"
        ),
        land_with("csv", single, *trades, "SINGLE"),
        land_with("csv", shared, *trades, "SHARED"),
    ]  # fmt: skip
