"""Time bars through the real project: raw trades and books of two days in, bars out.

One lake, built a day at a time with late books of the day before, is compared bar by bar with what
the trades, and the features of the books, say in plain Python; and byte by byte with a lake that is
built at once.
"""

import json
import math
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.channels import CHANNELS
from tests.integration.test_end_to_end import Operator

S = 1_000_000
DAY_US = 86_400 * S
DAYS = ("2024-01-02", "2024-01-03")
LENGTHS = (60, 90, 300)  # 90 s are no multiple of a minute
MAX_GAP_US = 300 * S
VARS = ("--vars", json.dumps({"bar_seconds": LENGTHS}))
BUILT = ("--select", "+time_bars_filled", *VARS)
TESTS = ("--indirect-selection", "buildable", "--exclude-resource-type", "unit_test")
BARS = ("book_bars", "time_bars", "time_bars_filled")
Values = dict[str, Any]
Key = tuple[str, int, int]
"""Symbol, seconds and start of a bar."""


def midnight(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * S


def times(draw: random.Random, start: int, count: int, longest: int) -> Iterator[tuple[int, int]]:
    """Times of event and receipt, some on the ends of bars, some the same, up to midnight."""
    ts = start
    for _ in range(count):
        yield ts, ts + draw.choice([0, S // 5, S // 5, 2 * S, 70 * S, -S])
        ts += draw.choice([0, 0, 1, S, 7 * S, 30 * S, longest])
        ts = draw.choice([ts, ts, ts - ts % (30 * S) + 30 * S])
        if ts // DAY_US != start // DAY_US:
            return


def books(draw: random.Random, start: int, count: int) -> list[Values]:
    rows = []
    for number, (ts, received) in enumerate(times(draw, start, count, 301 * S)):
        middle = 10_000 + draw.randrange(-9, 10) / 4
        apart = draw.choice([1, 1, 1, 2, 0, -1])
        sizes = [draw.choice([0.1, 0.3, 7.0, 1234.5]) for _ in range(6)]
        rows.append({
            "ts_event": ts, "ts_capture": draw.choice([received, None]),
            "seq": number, "is_reset": draw.random() < 0.02,
            "bids": [
                {"price": middle - level / 4, "size": sizes[level]}
                for level in range(draw.choice([0, 1, 2, 3, 3, 3]))
            ],
            "asks": [
                {"price": middle + (apart + level) / 4, "size": sizes[level + 3]}
                for level in range(draw.choice([0, 1, 2, 3, 3, 3]))
            ],
        })  # fmt: skip
    return rows


def trades(draw: random.Random, start: int, count: int) -> list[Values]:
    return [
        {
            "ts_event": ts, "ts_capture": draw.choice([received, None]), "trade_id": str(number),
            "price": Decimal(draw.choice([0, *range(9_990, 10_010)])) / 100,
            "size": Decimal(draw.choice([0, *range(1, 30)])) / 10,
            "side": draw.choice(["buy", "sell", None]),
            "first_id": 5 * number, "last_id": 5 * number + draw.randrange(4),
        }
        for number, (ts, received) in enumerate(times(draw, start, count, 400 * S))
    ]  # fmt: skip


def land(root: str, channel: str, symbol: str, day: str, segment: str, rows: list[Values]) -> None:
    folder = Path(root, f"raw/{channel}/exchange=binance/symbol={symbol}/date={day}")
    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, CHANNELS[channel].schema)
    pq.write_table(table, folder / f"{segment}.parquet")


@dataclass
class Market:
    """A lake built a day at a time, one built at once, and the trades in both by symbol."""

    steps: Operator
    at_once: Operator
    trades: dict[str, list[Values]]

    def rows(self, query: str) -> list[Values]:
        (names,) = [[name for name, *_ in self.steps.query(f"describe {query}")]]
        return [dict(zip(names, row, strict=True)) for row in self.steps.query(query)]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    folder = tmp_path_factory.mktemp("time_bars")
    steps, draw = Operator(str(folder / "steps"), {}, folder), random.Random(5)
    made: dict[str, list[Values]] = {"BTC": [], "ETH": [], "TRADES": []}
    late: list[Values] = []
    for day in DAYS:
        start = midnight(day)
        hour = start + (23 * 3600 * S if day == DAYS[0] else 0)  # up to midnight and on after it
        for symbol in made:
            printed = trades(draw, hour if symbol == "BTC" else start, 150)
            made[symbol] += printed
            land(steps.root, "trades", symbol, day, "a", printed)
        rows = books(draw, hour + 10 * S, 400)
        if day == DAYS[0]:
            rows.append({
                "ts_event": start + DAY_US - S, "seq": 999, "is_reset": False,
                "bids": [{"price": 9_900.0, "size": 1.0}], "asks": [{"price": 1e4, "size": 1.0}],
            })  # fmt: skip
            late, rows = rows[::9], [row for row in rows if row not in rows[::9]]
        else:
            land(steps.root, "order_book", "BTC", DAYS[0], "b", late)
            # A day that opens without a book, and a symbol that nobody trades.
            land(steps.root, "order_book", "ETH", day, "a", books(draw, start + 1800 * S, 200))
            land(steps.root, "order_book", "BOOK", day, "a", books(draw, start, 200))
        land(steps.root, "order_book", "BTC", day, "a", rows)
        steps.run("dbt", "run", *BUILT)
    at_once = Operator(str(folder / "again/at_once"), {}, folder / "again")
    shutil.copytree(Path(steps.root, "raw"), Path(at_once.root, "raw"))
    at_once.run("dbt", "run", *BUILT)
    steps.run("dbt", "test", "--select", *BARS, *VARS, *TESTS)
    return Market(steps, at_once, made)


def micros(value: datetime) -> int:
    return int(value.timestamp()) * S + value.microsecond


def arrival(row: Values) -> int:
    received: int | None = row["ts_capture"]
    return int(row["ts_event"]) if received is None else received


def of_trades(prints: Sequence[Values]) -> Values:
    """The columns of a bar that come from its trades, in the order of the exchange."""
    prices = [row["price"] for row in prints]
    values: Values = {"trade_count": len(prints)}
    values["match_count"] = sum(row["last_id"] - row["first_id"] + 1 for row in prints)
    values |= {"open": prices[0] if prices else None, "close": prices[-1] if prices else None}
    values |= {"high": max(prices, default=None), "low": min(prices, default=None)}
    for side in ("buy", "sell", None):
        sided = [row for row in prints if side is None or row["side"] == side]
        prefix = "" if side is None else f"{side}_"
        values[f"{prefix}volume"] = sum((row["size"] for row in sided), Decimal(0))
        values[f"{prefix}notional"] = sum((row["price"] * row["size"] for row in sided), Decimal(0))
    values["vwap"] = float(values["notional"] / values["volume"]) if prints else None
    return values


def total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) if known else None


def of_book(rows: Sequence[Values]) -> Values:
    """The columns of a bar that come from its book rows, but the one that is weighted by time."""
    valid = [row for row in rows if row["is_valid"]]
    first, last = (valid[0], valid[-1]) if valid else ({}, {})
    variance = total([row["log_return"] and row["log_return"] ** 2 for row in rows])
    spread = total([row["spread"] for row in valid])
    values = {
        "mid_high": max((row["mid"] for row in valid), default=None),
        "mid_low": min((row["mid"] for row in valid), default=None),
        "spread_mean": None if spread is None else spread / len(valid),
        "ofi_sum": total([row["ofi"] for row in rows]),
        "mlofi_decay_sum": total([row["mlofi_decay"] for row in rows]),
        "mlofi_decay_close": last.get("mlofi_decay"),
        "realized_var": variance,
        "realized_vol": None if variance is None else math.sqrt(variance),
        "book_row_count": len(rows),
        "is_gap": any(row["is_gap"] for row in rows) if rows else None,
    }
    for name in ("mid", "imbalance_l1", "microprice"):
        values |= {f"{name}_open": first.get(name), f"{name}_close": last.get(name)}
    return values


def spread_over_time(history: Sequence[Values], begin: int, end: int) -> float | None:
    """Each book up to the next, and for 300 s at most, as far as that lies in the bar."""
    area, covered = Fraction(0), 0
    for row, following in zip(history, [*history[1:], None], strict=True):
        until = int(row["ts_event"]) + MAX_GAP_US
        until = until if following is None else min(until, int(following["ts_event"]))
        part = min(until, end) - max(int(row["ts_event"]), begin)
        if part > 0 and row["is_valid"]:
            area, covered = area + Fraction(row["spread"]) * part, covered + part
    return float(area / covered) if covered else None


def expected(market: Market) -> dict[Key, Values]:
    """Every bar, looked for one by one."""
    book_rows = market.rows(
        "select *, epoch_us(ts_event) as event_us, epoch_us(ts) as ts_us from ("
        "from featured.book_features join (select * exclude (ts_event, ts) "
        "from featured.order_flow) using (exchange, symbol, date, row_seq)) "
        "order by symbol, date, row_seq"
    )
    for row in book_rows:
        row |= {"ts_event": row["event_us"], "ts_capture": row["ts_us"]}
    wanted: dict[Key, Values] = {}
    for symbol in (*market.trades, "BOOK"):
        history = [row for row in book_rows if row["symbol"] == symbol]
        prints = [row for row in market.trades.get(symbol, []) if row["price"] and row["size"]]
        for seconds in LENGTHS:
            step = seconds * S
            starts = {row["ts_event"] // step * step for row in (*history, *prints)}
            for begin in starts:
                end, day = begin + step, begin // DAY_US

                def inside(rows: Sequence[Values], b: int = begin, e: int = end) -> list[Values]:
                    return [row for row in rows if b <= row["ts_event"] < e]

                today = [row for row in (*history, *prints) if row["ts_event"] // DAY_US == day]
                known = [arrival(row) for row in today if row["ts_event"] < end]
                wanted[symbol, seconds, begin] = {
                    "ts_close": end,
                    "ts_available": max(end, *known),
                    "is_complete": any(row["ts_event"] >= end for row in today)
                    or day < midnight(DAYS[1]) // DAY_US,
                    "spread_twap": spread_over_time(history, begin, end)
                    if inside(history)
                    else None,
                    **of_trades(inside(prints)),
                    **of_book(inside(history)),
                }
    return wanted


def found(market: Market, table: str) -> dict[Key, Values]:
    rows = {}
    for row in market.rows(f"select * from bars.{table}"):
        for name in ("ts_open", "ts_close", "ts_available"):
            row[name] = micros(row[name])
        assert row.pop("exchange") == "binance"
        assert row.pop("date") == date.fromordinal(719_163 + row["ts_open"] // DAY_US)
        key = row.pop("symbol"), row.pop("bar_seconds"), row.pop("ts_open")
        assert key not in rows
        rows[key] = row
    return rows


def assert_agrees(got: dict[Key, Values], wanted: dict[Key, Values]) -> None:
    assert got.keys() == wanted.keys()
    for key, right in wanted.items():
        assert got[key].keys() == right.keys()
        for name, value in right.items():
            other = got[key][name]
            if isinstance(value, float) and isinstance(other, float):
                assert math.isclose(other, value, rel_tol=1e-9, abs_tol=1e-12), (key, name, value)
            else:
                assert other == value, (key, name, other, value)


def test_a_bar_says_what_its_trades_and_book_rows_say(market: Market) -> None:
    wanted = expected(market)
    assert_agrees(found(market, "time_bars"), wanted)

    def some(test: Callable[[Key, Values], bool]) -> bool:
        return any(test(key, bar) for key, bar in wanted.items())

    # What can be there, is.
    assert some(lambda _, bar: bar["trade_count"] > 1 and bar["book_row_count"] > 1)
    assert some(lambda _, bar: not bar["trade_count"] and bar["ofi_sum"] is not None)
    assert some(lambda _, bar: bar["book_row_count"] > 0 and bar["mid_open"] is None)
    assert some(lambda key, bar: key[0] == "TRADES" and bar["is_gap"] is None)
    assert some(lambda _, bar: bar["ts_available"] > bar["ts_close"])
    assert some(lambda _, bar: not bar["is_complete"])
    first = wanted["BTC", 60, midnight(DAYS[1])]["spread_twap"]
    assert first is not None
    assert first > 10  # ten seconds of yesterday's last book, whose spread is 100
    assert {bar["is_gap"] for bar in wanted.values()} == {True, False, None}


def test_a_longer_bar_is_what_the_shorter_ones_in_it_add_up_to(market: Market) -> None:
    bars = found(market, "time_bars")
    for (symbol, seconds, begin), longer in bars.items():
        if seconds != 300:
            continue
        keys = [(symbol, 60, begin + minute * 60 * S) for minute in range(5)]
        parts = [bars[key] for key in keys if key in bars]

        def known(name: str, parts: Sequence[Values] = parts) -> list[Any]:
            return [part[name] for part in parts if part[name] is not None]

        for name in (
            "volume", "buy_volume", "sell_volume", "notional", "buy_notional", "sell_notional",
            "trade_count", "match_count", "book_row_count",
        ):  # fmt: skip
            assert longer[name] == sum(known(name)), name
        for price, prefix in (("", ""), ("mid", "mid_")):
            firsts, lasts = known(f"{prefix}open"), known(f"{prefix}close")
            assert longer[f"{prefix}open"] == (firsts[0] if firsts else None), price
            assert longer[f"{prefix}close"] == (lasts[-1] if lasts else None), price
            assert longer[f"{prefix}high"] == max(known(f"{prefix}high"), default=None), price
            assert longer[f"{prefix}low"] == min(known(f"{prefix}low"), default=None), price
        for name in ("ofi_sum", "mlofi_decay_sum", "realized_var"):
            scale = math.fsum(abs(value) for value in known(name))
            assert abs((longer[name] or 0) - math.fsum(known(name))) <= 1e-14 * scale, name


def test_no_bar_is_missing_from_the_filled_ones(market: Market) -> None:
    bars = found(market, "time_bars")
    wanted: dict[Key, Values] = {}
    names = [*of_trades([]), "ts_close", "ts_available", "is_complete"]
    for symbol in market.trades:
        for seconds in LENGTHS:
            own = {key[2]: bar for key, bar in bars.items() if key[:2] == (symbol, seconds)}
            last: Values | None = None
            known = 0
            for begin in range(min(own), max(own) + 1, seconds * S):
                end = begin + seconds * S
                bar = own.get(begin)
                known = max(end, known if bar is None else bar["ts_available"])
                if bar is not None and bar["trade_count"]:
                    last, filled = bar, {name: bar[name] for name in names}
                elif last is not None:
                    filled = dict.fromkeys(("open", "high", "low", "close"), last["close"])
                    filled |= of_trades([]) | filled
                    filled["is_complete"] = bar is None or bar["is_complete"]
                else:
                    continue
                filled |= {"ts_close": end, "ts_available": known}
                filled["is_filled"] = bar is None or not bar["trade_count"]
                wanted[symbol, seconds, begin] = filled
    assert_agrees(found(market, "time_bars_filled"), wanted)
    assert {bar["is_filled"] for bar in wanted.values()} == {True, False}
    assert ("TRADES", 60, midnight(DAYS[1]) - 60 * S) in wanted  # through the night


def test_built_day_by_day_equals_built_at_once(market: Market) -> None:
    hashes = market.steps.hashes()
    assert hashes == market.at_once.hashes()
    assert len([path for path in hashes if path.startswith("bars/book_bars/")]) == 4
    assert len([path for path in hashes if path.startswith("bars/time_bars/")]) == 2


def test_tables_with_views_on_them_can_be_planned_and_computed_again(market: Market) -> None:
    planned = market.at_once.run("ticklake", "plan", *BUILT).splitlines()
    assert len(planned) == 8
    assert all("0 to build, 0 to drop" in line for line in planned)
    output = market.at_once.run("ticklake", "verify", "--deep")
    assert "featured.book_features: 4 partitions with the bytes that their inputs give" in output
    assert "again: no problem" in output
