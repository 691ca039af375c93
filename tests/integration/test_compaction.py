"""Compacted books and trades against a slow, obvious account of what they should be.

One build compacts many small partitions of random rows that clash in every way: equal instants,
numbers and ids, rows that come late, levels that cannot be.
"""

import math
import os
import random
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.channels import CHANNELS
from tests.commands import Finished, places, run
from tests.conftest import Lake
from ticklake.lake.quarantine import things_set_aside

REPOSITORY = Path(__file__).resolve().parents[2]
START = int(datetime(2025, 8, 1, tzinfo=UTC).timestamp() * 1_000_000)
SYMBOLS = [f"S{number:02}" for number in range(60)]
NUMBERS = [None, math.nan, math.inf, -1.0, 0.0, 1.0, 1.5, 2.0, 3.0]
Row = dict[str, Any]

pytestmark = pytest.mark.parametrize("lake", ["local"], indirect=True)


@pytest.fixture
def raw(lake: Lake) -> Mapping[str, Mapping[str, Sequence[Row]]]:
    """Random raw rows by channel and symbol, in order of arrival, landed in the lake."""
    rng = random.Random(1)
    found: dict[str, dict[str, list[Row]]] = {"order_book": {}, "trades": {}}
    for symbol in SYMBOLS:
        books = [[_level(rng) for _ in range(rng.randrange(6))] for _ in range(3)]
        found["order_book"][symbol] = [
            {
                "ts_event": START + rng.randrange(3),
                "seq": rng.choice([None, None, 1, 2]),
                "is_reset": rng.choice([None, False, False, True]),
                "bids": rng.choice([*books, None]),
                "asks": rng.choice(books[:2]),
            }
            for _ in range(rng.randrange(1, 25))
        ]
        found["trades"][symbol] = [
            {
                "ts_event": START + rng.randrange(3),
                "trade_id": rng.choice([None, "1", "2", "3"]),
                "price": Decimal(number),
                "size": Decimal(1),
            }
            for number in range(rng.randrange(1, 12))
        ]
        for channel, rows in found.items():
            for number, segment in enumerate(("a", "b_2", "b_10")):
                part = rows[symbol][number::3]
                _land(lake, channel, symbol, segment, part)
            # Arrival order is the name of the segment, then the row: a, b_10, b_2.
            rows[symbol] = [*rows[symbol][0::3], *rows[symbol][2::3], *rows[symbol][1::3]]
    return found


def test_books_and_trades_are_what_arrived_first_in_order_and_clean(
    lake: Lake, raw: Mapping[str, Mapping[str, Sequence[Row]]], tmp_path: Path
) -> None:
    database = tmp_path / "test.duckdb"
    result = _dbt(lake, tmp_path, "run", "--select", "order_book", "+trades")
    assert result.returncode == 0, result.output
    columns = ["epoch_us(ts_event)", "seq", "is_reset", "bid_levels", "ask_levels", "book_state"]
    columns += [
        f"{side}_{field}_{level}"
        for side in ("bid", "ask")
        for level in range(1, 6)
        for field in ("price", "size")
    ]
    with duckdb.connect(str(database), read_only=True) as connection:
        for symbol in SYMBOLS:
            books = connection.execute(
                f"select row_seq, {', '.join(columns)} from compacted.order_book "
                f"where symbol = '{symbol}' order by row_seq"
            ).fetchall()
            assert books == expected_books(raw["order_book"][symbol]), symbol
            trades = connection.execute(
                "select trade_seq, epoch_us(ts_event), trade_id, price from compacted.trades "
                f"where symbol = '{symbol}' order by trade_seq"
            ).fetchall()
            assert trades == expected_trades(raw["trades"][symbol]), symbol


def test_a_segment_with_rows_of_another_day_is_set_aside_and_candles_need_only_prices_and_volume(
    lake: Lake, tmp_path: Path
) -> None:
    trade = {"ts_event": START - 1, "price": Decimal(1), "size": Decimal(1)}
    _land(lake, "trades", "A", "a", [trade])
    names = ("open", "high", "low", "close", "volume")
    candle = {"open_time": START, **dict.fromkeys(names, Decimal(1))}
    _land(lake, "klines", "A", "a", [candle], "interval=1m/month=2025-08")
    assert _dbt(lake, tmp_path, "run", "--select", "klines", "+trades").returncode == 0
    (aside,) = things_set_aside(lake.storage).values()
    assert (aside.error_type, aside.about["row"]) == ("WRONG_PARTITION", 0)
    result = _dbt(lake, tmp_path, "test", "--select", "trades_have_sane_values", "klines")
    assert "PASS trades_have_sane_values" in result.output
    assert "PASS klines_are_consistent" in result.output


def test_trades_that_were_landed_one_by_one_and_aggregated_are_told(
    lake: Lake, tmp_path: Path
) -> None:
    def traded(trade_id: int, **ids: int) -> Row:
        known = {"trade_id": str(trade_id), "price": Decimal(1), "size": Decimal(1)}
        return {"ts_event": START + trade_id, **known, **ids}

    aggregates = [traded(7, first_id=10, last_id=12), traded(8, first_id=20, last_id=20)]
    _land(lake, "trades", "A", "a", [*aggregates, traded(12), traded(20), traded(21)])
    _land(lake, "trades", "B", "a", [*aggregates, traded(9), traded(13), traded(19), traded(21)])
    assert _dbt(lake, tmp_path, "run", "--select", "+trades").returncode == 0
    result = _dbt(lake, tmp_path, "test", "--select", "assert_no_trade_is_counted_twice")
    assert "WARN 1 assert_no_trade_is_counted_twice" in result.output  # A's, of which two
    shutil.rmtree(Path(lake.root) / "raw/trades/exchange=binance/symbol=A")
    assert _dbt(lake, tmp_path, "run", "--select", "+trades").returncode == 0
    result = _dbt(lake, tmp_path, "test", "--select", "assert_no_trade_is_counted_twice")
    assert "PASS assert_no_trade_is_counted_twice" in result.output


def expected_books(arrived: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Go through the rows in order and keep what is not known yet."""
    kept: list[Row] = []
    ordered = sorted(arrived, key=lambda row: (row["ts_event"], row["seq"] or 0))
    said: list[Any] = [
        (row["ts_event"], row["seq"], *(() if row["seq"] else (_key(row),))) for row in ordered
    ]
    standing: dict[Any, Row] = {}
    for place, (row, key) in enumerate(zip(ordered, said, strict=True)):
        is_known = key in said[:place] if row["seq"] else place > 0 and said[place - 1] == key
        if is_known:
            standing[key]["is_reset"] |= bool(row["is_reset"])
        else:
            standing[key] = {**row, "is_reset": bool(row["is_reset"])}
            kept.append(standing[key])
    return [(number, *_flat(row)) for number, row in enumerate(kept, 1)]


def expected_trades(arrived: Sequence[Row]) -> list[tuple[Any, ...]]:
    known: set[str] = set()
    kept = []
    for row in arrived:
        if row["trade_id"] not in known:
            kept.append(row)
        if row["trade_id"] is not None:
            known.add(row["trade_id"])
    kept.sort(key=lambda row: (row["ts_event"], int(row["trade_id"] or 0)))
    return [
        (number, row["ts_event"], row["trade_id"], row["price"])
        for number, row in enumerate(kept, 1)
    ]


def _flat(row: Row) -> tuple[Any, ...]:
    bids, asks = _clean(row["bids"], descending=True), _clean(row["asks"], descending=False)
    if not bids and not asks:
        state = "empty"
    elif not bids or not asks:
        state = "one_sided"
    elif bids[0][0] == asks[0][0]:
        state = "locked"
    else:
        state = "crossed" if bids[0][0] > asks[0][0] else "ok"
    levels = [
        value
        for side in (bids, asks)
        for level in [*side, *[(None, None)] * 5][:5]
        for value in level
    ]
    facts = row["ts_event"], row["seq"], row["is_reset"], len(bids), len(asks), state
    return (*facts, *levels)


def _clean(levels: Sequence[Row] | None, *, descending: bool) -> list[tuple[float, float]]:
    sizes: dict[float, float] = {}
    for level in levels or ():
        price, size = level["price"], level["size"]
        if None not in (price, size) and 0 < price < math.inf and 0 < size < math.inf:
            sizes[price] = sizes.get(price, 0) + size
    return sorted(sizes.items(), reverse=descending)


def _key(row: Row) -> str:
    """Say what a row's levels are. Missing is empty; as strings, NaN equals itself."""
    return repr((row["bids"] or [], row["asks"] or []))


def _level(rng: random.Random) -> Row:
    good = rng.random() < 0.8
    return {
        "price": rng.choice([1.0, 2.0, 3.0, 4.0, 5.0] if good else NUMBERS),
        "size": rng.choice([0.1, 0.2, 0.3] if good else NUMBERS),
    }


def _dbt(lake: Lake, folder: Path, *arguments: str) -> Finished:
    command = ["dbt", "--no-use-colors", *arguments]
    return run(command, REPOSITORY, {**os.environ, **lake.env, **places(folder)})


def _land(
    lake: Lake,
    channel: str,
    symbol: str,
    segment: str,
    rows: Sequence[Row],
    partition: str = "date=2025-08-01",
) -> None:
    if not rows:
        return
    schema = CHANNELS[channel].schema
    names = [name for name in schema.names if name in rows[0]]
    table = pa.Table.from_pylist(rows, pa.schema([schema.field(name) for name in names]))
    folder = f"raw/{channel}/exchange=binance/symbol={symbol}/{partition}"
    with lake.storage.staging() as staging:
        pq.write_table(table, staging / "segment")
        lake.storage.publish(staging / "segment", f"{folder}/{segment}.parquet")
