"""Bars against the candles of the exchange, through the real project."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.channels import CHANNELS
from tests.integration.test_end_to_end import Operator

MODELS = ("--select", "+klines_reconciliation", "--exclude-resource-type", "unit_test")
WITH_GAPS = (
    "--select", "+klines_reconciliation", "+gaps", "+kline_quality", "+quality",
)  # fmt: skip
DAYS = ("2025-07-31", "2025-08-01", "2025-08-02")
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Trade:
    at: datetime
    price: Decimal
    size: Decimal
    is_buy: bool
    first_id: int
    last_id: int


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(str(tmp_path / "lake"), {}, tmp_path)


def midnight(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def traded(day: str) -> list[Trade]:
    """What the venue traded in half an hour: a print every 7 s, some of two executions."""
    start = midnight(day) + timedelta(hours=1)
    trades, number = [], 1_000 * start.toordinal()
    for step in range(30 * 60 // 7):
        price = Decimal(10_000 + step * 37 % 101) / 100
        size = Decimal(1 + step * 53 % 97) / 1000
        count = 1 + step % 5 // 4
        at = start + timedelta(seconds=7 * step)
        trades.append(Trade(at, price, size, step % 3 > 0, number, number + count - 1))
        number += count
    return trades


def recorded(day: str) -> list[Trade]:
    """What a recorder got of it: it began late and lost the line for a while."""
    begin = midnight(day) + timedelta(hours=1)
    lost = begin + 10 * MINUTE, begin + 12 * MINUTE
    return [
        one
        for one in traded(day)
        if one.at > begin + MINUTE / 2 and not lost[0] <= one.at < lost[1]
    ]


def candles(trades: Sequence[Trade], begin: datetime, end: datetime) -> list[dict[str, Any]]:
    """The candles of a minute that a venue makes of trades, those without any among them."""
    made = []
    close = Decimal(100)
    while begin < end:
        own = [one for one in trades if begin <= one.at < begin + MINUTE]
        prices = [one.price for one in own] or [close]
        close = prices[-1]
        bought = [one for one in own if one.is_buy]
        made.append(
            {
                "open_time": begin,
                "open": prices[0],
                "high": max(prices),
                "low": min(prices),
                "close": close,
                "volume": sum(one.size for one in own),
                "close_time": begin + MINUTE - timedelta(milliseconds=1),
                "quote_volume": sum(one.size * one.price for one in own),
                "count": sum(one.last_id - one.first_id + 1 for one in own),
                "taker_buy_volume": sum(one.size for one in bought),
                "taker_buy_quote_volume": sum(one.size * one.price for one in bought),
            }
        )
        begin += MINUTE
    return made


def land_trades(
    operator: Operator, day: str, trades: Sequence[Trade], segment: str = "part"
) -> None:
    rows = [
        {
            "ts_event": one.at,
            "trade_id": str(one.first_id),
            "price": one.price,
            "size": one.size,
            "side": "buy" if one.is_buy else "sell",
            "first_id": one.first_id,
            "last_id": one.last_id,
        }
        for one in trades
    ]
    write(operator, f"trades/exchange=binance/symbol=A/date={day}", rows, segment)


def land_candles(operator: Operator, month: str, rows: list[dict[str, Any]]) -> None:
    write(operator, f"klines/exchange=binance/symbol=A/interval=1m/month={month}", rows)


def write(
    operator: Operator, partition: str, rows: list[dict[str, Any]], segment: str = "part"
) -> None:
    schema = CHANNELS[partition.split("/", 1)[0]].schema
    folder = Path(operator.root, "raw", partition)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"{segment}.parquet")


def remove(operator: Operator, path: str) -> Callable[[], None]:
    """Remove a raw segment or partition; return what brings it back."""
    found = Path(operator.root, "raw", path)
    kept = operator.folder / "removed" / path
    kept.parent.mkdir(parents=True, exist_ok=True)
    found.rename(kept)

    def bring_back() -> None:
        kept.rename(found)

    return bring_back


def august() -> list[dict[str, Any]]:
    return [
        candle
        for day in DAYS[1:]
        for begin in [midnight(day) + 59 * MINUTE]
        for candle in candles(traded(day), begin, begin + 40 * MINUTE)
    ]


def causes(operator: Operator, day: str) -> dict[int, str]:
    """The cause of each difference by the minute after 01:00."""
    rows = operator.query(
        "select datediff('minute', cast(date as timestamp), ts_open at time zone 'UTC') - 60, "
        f"cause from marts.klines_reconciliation where date = '{day}' and cause is not null"
    )
    return dict(rows)


def test_differences_have_a_cause_and_only_days_of_a_month_are_compared_again(
    operator: Operator,
) -> None:
    for day in DAYS:
        land_trades(operator, day, recorded(day))
    operator.build(*MODELS)
    assert operator.query("select count(*) from marts.klines_reconciliation") == [(0,)]

    land_candles(operator, "2025-08", august())
    output = operator.build(*MODELS)
    (line,) = (line for line in output.splitlines() if "OK created" in line and "klines_r" in line)
    assert "[2 built, 0 dropped, 1 unchanged, 80 rows" in line
    # Late, then a hole; its last minute was whole, and the candles before and after are of nothing.
    explained = {0: "edge", 10: "missing_ids", 11: "missing_ids"}
    assert causes(operator, DAYS[1]) == causes(operator, DAYS[2]) == explained

    land_trades(operator, DAYS[1], [one for one in recorded(DAYS[1]) if one.at.minute < 28])
    begin = midnight(DAYS[0]) + timedelta(hours=1)
    land_candles(
        operator, "2025-07", candles(traded(DAYS[0]), begin + 5 * MINUTE, begin + 9 * MINUTE)
    )
    operator.build(*MODELS)
    assert causes(operator, DAYS[1]) == {**explained, 28: "no_trades", 29: "no_trades"}
    alone = (*range(5), 9, *range(12, 30))
    assert causes(operator, DAYS[0]) == dict.fromkeys(alone, "no_candle")


def test_a_difference_without_a_cause_is_a_warning(operator: Operator) -> None:
    land_trades(operator, DAYS[1], recorded(DAYS[1]))
    changed = august()
    changed[20]["volume"] += Decimal("0.000000000001")
    changed[21]["count"] -= 1
    changed[22]["close"] = changed[22]["open"] = changed[22]["low"]
    land_candles(operator, "2025-08", changed)
    output = operator.build(*MODELS)
    assert "WARN 3 bars_equal_candles_or_the_cause_is_known" in output
    found = causes(operator, DAYS[1])
    assert {minute for minute, cause in found.items() if cause == "unexplained"} == {19, 20, 21}


def test_the_real_capture_equals_the_real_candles(shared_data: Path, operator: Operator) -> None:
    operator.run(
        "ticklake", "land", "capture", "--exchange", "binance-futures", "--workers", "1",
        str(shared_data / "binance_capture/usdm_btcusdt_20240808.gz"),
    )  # fmt: skip
    (file,) = (shared_data / "binance_klines").glob("BTCUSDT-1m-usdm-*.csv")
    operator.run(
        "ticklake", "land", "csv", "--channel", "klines", "--exchange", "binance-futures",
        "--symbol", "BTCUSDT", "--interval", "1m", "--workers", "1", str(file),
    )  # fmt: skip
    operator.build(*MODELS)
    rows = operator.query(
        "select strftime(ts_open at time zone 'UTC', '%H:%M'), cause, "
        "volume = kline_volume and match_count = kline_count and notional = kline_quote_volume "
        "from marts.klines_reconciliation order by ts_open"
    )
    # The capture begins within 23:54; of the candles after midnight it has no trades.
    whole = [(f"23:{minute}", None, True) for minute in range(55, 60)]
    assert rows == [("23:54", "edge", False), *whole]


def test_changes_of_days_and_months_give_the_bytes_of_a_full_refresh(operator: Operator) -> None:
    """Each change is in a month of its own, so that none hides what another leaves behind."""
    months = [f"2025-{month:02}" for month in range(1, 8)]
    late, changed, cut, gone, new_candles, changed_candles, lost_candles = months

    def land(month: str, ends_at: int = 30) -> None:
        for day in (f"{month}-01", f"{month}-02"):
            trades = [one for one in traded(day) if one.at.minute < ends_at]
            land_trades(operator, day, trades[:100], "a")
            land_trades(operator, day, trades[100:], "b")

    def land_all_candles(month: str, factor: int = 1) -> None:
        begin = midnight(f"{month}-01") + 59 * MINUTE
        rows = candles(traded(f"{month}-01"), begin, begin + 40 * MINUTE)
        land_candles(operator, month, [row | {"count": row["count"] * factor} for row in rows])

    for month in months:
        land(month)
        if month != new_candles:
            land_all_candles(month)
    late_day = remove(operator, f"trades/exchange=binance/symbol=A/date={late}-02")
    operator.build_tables(*WITH_GAPS)
    before = operator.hashes()

    late_day()
    land(changed, ends_at=25)
    remove(operator, f"trades/exchange=binance/symbol=A/date={cut}-01/b.parquet")
    remove(operator, f"trades/exchange=binance/symbol=A/date={gone}-01")
    land_all_candles(new_candles)
    land_all_candles(changed_candles, factor=2)
    remove(operator, f"klines/exchange=binance/symbol=A/interval=1m/month={lost_candles}")
    operator.build_tables(*WITH_GAPS)
    incremental = operator.hashes()
    differing = {path for path, _ in before.items() ^ incremental.items()}
    for month in months:
        assert any("klines_reconciliation/" in path and month in path for path in differing)

    for layer in ("compacted", "featured", "bars", "marts", "_cache"):
        shutil.rmtree(Path(operator.root, layer), ignore_errors=True)
    operator.build_tables(*WITH_GAPS)
    assert operator.hashes() == incremental
