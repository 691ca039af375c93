"""Random rows of every channel: any number that lands, any id, any order, and much that is null.

Two days of some symbols on a venue of their own. The seed is fixed: it is the build that is tested,
and one lake is enough to build for it.
"""

import csv
import json
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import lz4.frame

from tests.integration.odd import Command, land_with

EXCHANGE: Final = "random"
SYMBOLS: Final = ("PLAIN", "odd/@1", "null")
ROWS: Final = 250
FIRST_DAY: Final = int(datetime(2025, 8, 1, tzinfo=UTC).timestamp())
DAYS: Final = 2
MOST_NOTIONAL: Final = Decimal(10) ** 11
IDS: Final = ("0", "1", "-1", str(1 << 63), str(-(1 << 63)), "00000000-0000-0000", "x", "7.5")
Row = Mapping[str, Any]


def write(folder: Path) -> list[Command]:
    rng = random.Random(14)
    commands = []
    for channel, make in CHANNELS.items():
        for symbol in SYMBOLS:
            rows = [make(rng) for _ in range(ROWS)]
            rng.shuffle(rows)
            file = folder / f"{channel}-{SYMBOLS.index(symbol)}.csv"
            _write(file, rows)
            options = ("--channel", channel, "--exchange", EXCHANGE, "--symbol", symbol)
            interval = ("--interval", "1m") if channel == "klines" else ()
            commands.append(land_with("csv", file, *options, *interval))
    days = ("--start", "20250817", "--end", "20250817")
    return [*commands, land_with("hyperliquid", "--source", _fills(folder, rng), *days)]


def _write(file: Path, rows: Sequence[Row]) -> None:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _second(rng: random.Random) -> int:
    """A second of one of the days; often the same one, or the last or first of a day."""
    if rng.random() < 0.2:
        return FIRST_DAY + rng.choice([0, 1, 43_200, 86_399, 86_400])
    return FIRST_DAY + rng.randrange(DAYS * 86_400)


def _time(second: int, micros: int = 0) -> str:
    return f"{second}{micros:06}"


def _decimal(rng: random.Random, low: int = -12, high: int = 25) -> Decimal:
    """A number of any size that decimal(38, 12) holds, from `10 ** low` to `10 ** high`."""
    power = rng.randint(low, high)
    digits = rng.choice([1, 1, 15, 999_999_999_999, rng.randint(1, 10**12)])
    fits = min(len(str(digits)) - 1, power + 12)
    return Decimal(str(digits)[: fits + 1]).scaleb(power - fits)


def _number(rng: random.Random) -> float | None:
    """A double of any sign and size, 0, or nothing."""
    if rng.random() < 0.3:
        return rng.choice([None, 0.0, -0.0, 1.0])
    return rng.choice([-1, 1]) * rng.random() * 10.0 ** rng.randint(-12, 25)


def _of(rng: random.Random, *makers: Callable[[], Any]) -> Any:
    return rng.choice(makers)()


def _trade(rng: random.Random) -> Row:
    price, size = _decimal(rng), _decimal(rng)
    if rng.random() < 0.5:  # prices near each other, as most are
        price = 100 + Decimal(rng.randint(-50, 50)) / 100
        size = Decimal(rng.randint(0, 300)) / 1000
    if rng.random() < 0.05:
        price, size = rng.choice(
            [(Decimal(0), size), (price, Decimal(0)), (Decimal(0), Decimal(0))]
        )
    if price * size > MOST_NOTIONAL:
        size = Decimal(1).scaleb(-12)
    if price * size > MOST_NOTIONAL:
        price = Decimal(1)
    first = rng.choice([None, None, 0, -1, 5, rng.randrange(1 << 62)])
    second = _second(rng)
    return {
        "ts_event": _time(second, rng.choice([0, 0, 1, 999_999])),
        "ts_capture": _of(rng, lambda: None, lambda: _time(second + rng.randint(-9, 99))),
        "id": _of(rng, lambda: None, lambda: rng.choice(IDS), lambda: rng.randrange(300)),
        "price": f"{price:f}",
        "size": f"{size:f}",
        "side": rng.choice(["buy", "sell", "BUY", "s", None]),
        "first_id": first,
        "last_id": None if first is None else first + rng.choice([0, 0, 1, 40]),
    }


def _book(rng: random.Random) -> Row:
    second = _second(rng)
    mid = rng.choice([100.0, 100.0, 1e-11, 3e24, 1e-3])
    tick = mid * rng.choice([1e-9, 1e-4, 0.04])

    def levels(sign: int) -> list[list[float]]:
        count = rng.choice([0, 1, 2, 5, 12])
        near = rng.choice([0, 0, 1, -1])  # 0: locked, -1: crossed
        prices = [mid + sign * (near + step) * tick for step in range(count)]
        found = [[price, abs(_number(rng) or 1.0)] for price in prices]
        if rng.random() < 0.1:
            rng.shuffle(found)
        if found and rng.random() < 0.1:
            found.append(rng.choice([found[0], [-1.0, 1.0], [mid, 0.0], [mid, -3.0]]))
        return found

    return {
        "ts_event": _time(second, rng.choice([0, 1])),
        "ts_capture": _of(rng, lambda: None, lambda: _time(second + rng.randint(-9, 99))),
        "seq": _of(rng, lambda: None, lambda: rng.choice([0, -1, 5, 1 << 62]), lambda: second),
        "is_reset": rng.choice([None, "false", "false", "true"]),
        "bids": json.dumps(levels(-1)),
        "asks": json.dumps(levels(1)),
    }


def _ticker(rng: random.Random) -> Row:
    sizes = [_of(rng, lambda: None, lambda: 0.0, lambda: float(_decimal(rng))) for _ in range(2)]
    second = _second(rng)
    return {
        "ts_event": _time(second),
        "ts_capture": _of(rng, lambda: None, lambda: _time(second + rng.randint(-9, 99))),
        "seq": rng.choice([None, 0, -5, second]),
        "bid_price": _number(rng),
        "bid_size": sizes[0],
        "ask_price": _number(rng),
        "ask_size": sizes[1],
        "last_price": _number(rng),
    }


def _mark(rng: random.Random) -> Row:
    # A mark price is needed in each row; what it is, is up to the venue.
    return {
        "ts_event": _time(_second(rng)),
        "mark_price": _number(rng) or 0.0,
        "index_price": _number(rng),
    }


def _funding(rng: random.Random) -> Row:
    second = _second(rng)
    return {
        "ts_event": _time(second),
        "funding_rate": _number(rng) or 0.0,
        "interval_hours": rng.choice([None, 0, -1, 1, 8, 1e9]),
        "next_funding_ts": rng.choice([None, _time(second), _time(FIRST_DAY - 9)]),
    }


def _kline(rng: random.Random) -> Row:
    start = _second(rng) - rng.choice([0, 0, 7])
    start -= start % rng.choice([60, 60, 60, 1])
    return {
        "open_time": _time(start),
        "open": f"{_decimal(rng):f}",
        "high": f"{_decimal(rng):f}",
        "low": f"{_decimal(rng):f}",
        "close": f"{_decimal(rng):f}",
        "volume": f"{_of(rng, lambda: Decimal(0), lambda: _decimal(rng, high=20)):f}",
        "close_time": _of(rng, lambda: None, lambda: _time(start + rng.choice([1, 59, 60, 3600]))),
        "quote_volume": f"{_decimal(rng, high=20):f}",
        "count": rng.choice([None, 0, -1, 5, 1 << 62]),
        "taker_buy_volume": _of(rng, lambda: None, lambda: f"{_decimal(rng, high=20):f}"),
        "taker_buy_quote_volume": _of(rng, lambda: None, lambda: f"{_decimal(rng, high=20):f}"),
    }


CHANNELS: Final[Mapping[str, Callable[[random.Random], Row]]] = {
    "trades": _trade,
    "order_book": _book,
    "tickers": _ticker,
    "mark_prices": _mark,
    "funding_rates": _funding,
    "klines": _kline,
}


def _fill(rng: random.Random, second: int) -> list[Any]:
    trade = _trade(rng)
    signed = [f"{rng.choice([-1, 1]) * _decimal(rng, high=15):f}" for _ in range(3)]
    return [
        f"0x{rng.choice('ab') * 40}",
        {
            "coin": rng.choice(["RANDOM", "@99", "x:Y"]),
            "px": trade["price"],
            "sz": trade["size"],
            "side": rng.choice("AB"),
            "time": second * 1000,
            "startPosition": signed[0],
            "dir": rng.choice(["Open Long", "Settlement", ""]),
            "closedPnl": signed[1],
            "hash": "0x0",
            "oid": rng.choice([0, 1, rng.randrange(1 << 62)]),
            "crossed": rng.choice([True, False]),
            "fee": signed[2],
            "tid": rng.choice([0, 1, 2, rng.randrange(1 << 62)]),
            "feeToken": rng.choice(["USDC", "HYPE", ""]),
        },
    ]


def _fills(folder: Path, rng: random.Random) -> Path:
    """Write an hour of fills, whose times are of any hour; return the location of the archive."""
    lines = []
    for number in sorted(rng.choices(range(1, 40), k=60)):
        time = "2025-08-01T00:00:00.000000001"
        second = _second(rng)
        events = [_fill(rng, second) for _ in range(rng.choice([0, 1, 3, 9]))]
        # The same fill once more, and with another fee.
        events += [[user, fill | rng.choice([{}, {"fee": "0.5"}])] for user, fill in events[:2]]
        head = {"local_time": time, "block_time": time, "block_number": number}
        lines.append(json.dumps(head | {"events": events}, separators=(",", ":")) + "\n")
    file = folder / "archive/node_fills_by_block/hourly/20250817/3.lz4"
    file.parent.mkdir(parents=True)
    file.write_bytes(lz4.frame.compress("".join(lines).encode()))
    return folder / "archive"
