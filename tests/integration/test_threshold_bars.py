"""Threshold bars through the real project: trades of two days in, bars out."""

import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.channels import CHANNELS
from tests.integration.test_end_to_end import Operator

DAYS = ("2025-08-01", "2025-08-02")
SYMBOLS = ("BTCUSDT", "it's:NEW")
MODELS = ("--select", "+path:python_models/bars", "time_bars", "+trade_flow")
FILLS = ("--exclude", "wallet_daily", "assert_wallet*")
BARS = " union all by name ".join(
    f"from bars.{name}_bars" for name in ("tick", "volume", "dollar", "imbalance", "run")
)


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(str(tmp_path / "lake"), {}, tmp_path)


def land(operator: Operator, symbol: str, day: str, seed: int, count: int = 400) -> None:
    """Write a raw segment of trades through a day, the first and the last without a size."""
    rng = np.random.default_rng(seed)
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    seconds = np.sort(rng.integers(0, 86_400, count)).tolist()
    times = [midnight + timedelta(seconds=second) for second in seconds]
    sizes = rng.integers(1, 50_000, count)
    sizes[[0, -1]] = 0
    sides = np.array(["buy", "sell", None])[rng.choice(3, count, p=[0.48, 0.48, 0.04])]
    columns = {
        "ts_event": times,
        "ts_capture": [at + timedelta(milliseconds=30) for at in times],
        "trade_id": [f"{seed}-{number}" for number in range(count)],
        "price": [Decimal(int(value)).scaleb(-2) for value in rng.integers(90, 110, count)],
        "size": [Decimal(int(value)).scaleb(-3) for value in sizes],
        "side": sides.tolist(),
    }
    write(operator, "trades", symbol, day, columns)


def land_book(operator: Operator, symbol: str, day: str) -> None:
    """Write a raw segment of books through a day, one every 17 minutes."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    count = 85
    columns = {
        "ts_event": [midnight + timedelta(minutes=17 * number) for number in range(count)],
        "bids": [[{"price": 0.99, "size": 1.0}]] * count,
        "asks": [[{"price": 1.01, "size": 1.0}]] * count,
    }
    write(operator, "order_book", symbol, day, columns)


def write(
    operator: Operator, channel: str, symbol: str, day: str, columns: dict[str, list[Any]]
) -> None:
    schema = CHANNELS[channel].schema
    count = len(columns["ts_event"])
    empty = {field.name: [None] * count for field in schema if field.name not in columns}
    table = pa.table({**columns, **empty}, schema)
    encoded = symbol.replace("'", "%27").replace(":", "%3A")
    folder = Path(operator.root, f"raw/{channel}/exchange=binance/symbol={encoded}/date={day}")
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "part.parquet")


def thresholds(operator: Operator, symbol: str) -> dict[tuple[str, str], Decimal]:
    literal = symbol.replace("'", "''")
    rows = operator.query(
        f"select distinct date, bar_type, threshold from ({BARS}) where symbol = '{literal}'"
    )
    return {(str(date), bar_type): threshold for date, bar_type, threshold in rows}


def test_a_day_depends_on_the_day_before_and_a_build_equals_a_full_refresh(
    operator: Operator, tmp_path: Path
) -> None:
    for number, symbol in enumerate(SYMBOLS):
        land(operator, symbol, DAYS[0], seed=number)
        land_book(operator, symbol, DAYS[0])
    operator.build(*MODELS, *FILLS)
    first = thresholds(operator, SYMBOLS[1])
    assert first == {(DAYS[0], "tick"): Decimal(1000)}  # the seed's, of any symbol
    assert (DAYS[0], "volume") in thresholds(operator, SYMBOLS[0])

    for number, symbol in enumerate(SYMBOLS):
        land(operator, symbol, DAYS[1], seed=10 + number)
        land_book(operator, symbol, DAYS[1])
    output = operator.build_tables(*MODELS)
    assert "bars.imbalance_bars" in output
    second = thresholds(operator, SYMBOLS[1])
    assert {bar_type for day, bar_type in second if day == DAYS[1]} >= {"volume", "tick_run"}
    volume, count = operator.query(
        f"select sum(volume), sum(trade_count) from bars.tick_bars "
        f"where symbol like 'it%' and date = '{DAYS[0]}'"
    )[0]
    assert second[DAYS[1], "volume"] == (volume / 50).quantize(Decimal("0.001"), ROUND_CEILING)
    assert count == 398
    # Of yesterday's volume 49 whole buckets count, so that today's first has a VPIN already.
    known = "select count(*) > 60, count(vpin) = count(*) from bars.vpin_buckets"
    assert operator.query(known) == [(True, True)]
    # Rows of the book know it from then on; a test in the build compares the two.
    of_rows = "select date, count(vpin) > 75 from featured.trade_flow group by symbol, date"
    assert sorted(operator.query(of_rows)) == [
        (date.fromisoformat(day), is_known)
        for day, is_known in zip(DAYS, (False, True), strict=True)
        for _ in SYMBOLS
    ]

    land(operator, SYMBOLS[1], DAYS[0], seed=99, count=700)  # yesterday comes again, with more
    operator.build(*MODELS, *FILLS)
    third = thresholds(operator, SYMBOLS[1])
    assert third[DAYS[1], "volume"] > second[DAYS[1], "volume"]
    assert third[DAYS[1], "tick"] == second[DAYS[1], "tick"]

    fresh = Operator(str(tmp_path / "fresh/lake"), {}, tmp_path / "fresh")
    shutil.copytree(Path(operator.root, "raw"), Path(fresh.root, "raw"))
    fresh.build_tables(*MODELS)
    assert made(fresh) == made(operator)


def made(operator: Operator) -> dict[str, str]:
    tables = ("bars/", "featured/trade_flow/")
    return {path: value for path, value in operator.hashes().items() if path.startswith(tables)}
