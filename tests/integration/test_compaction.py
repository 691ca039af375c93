"""Compacted books and trades against a slow, obvious account of what they should be.

One build compacts many small partitions of random rows that clash in every way: equal instants,
numbers and ids, rows that come late, levels that cannot be.
"""

import math
import os
import random
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
TRADE_IDS = [None, "0", "1", "2", "3", "00000000-0000-0000-0000-000000000000"]
TRADE_COLUMNS = ["epoch_us(ts_event)", "trade_id", "price", "size", "side", "first_id", "last_id"]
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
        found["trades"][symbol] = [_trade(rng) for _ in range(rng.randrange(1, 40))]
        for channel, rows in found.items():
            for number, segment in enumerate(("a", "b_2", "b_10")):
                part = rows[symbol][number::3]
                _land(lake, channel, symbol, segment, part)
            # Arrival order is the name of the segment, then the row: a, b_10, b_2.
            rows[symbol] = [*rows[symbol][0::3], *rows[symbol][2::3], *rows[symbol][1::3]]
    return found


def test_books_and_trades_are_what_was_said_in_order_and_clean(
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
                f"select trade_seq, {', '.join(TRADE_COLUMNS)} from compacted.trades "
                f"where symbol = '{symbol}' order by trade_seq"
            ).fetchall()
            assert trades == expected_trades(raw["trades"][symbol]), symbol
    named = [
        f"assert_{name}"
        for name in ("books_are_the_distinct_raw_books", "trades_are_the_distinct_raw_trades")
    ]
    result = _dbt(lake, tmp_path, "test", "--select", *named)
    assert result.returncode == 0, result.output


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


def test_a_source_in_milliseconds_and_one_in_microseconds_tell_of_the_same_trades(
    lake: Lake, tmp_path: Path
) -> None:
    def traded(number: int, micros: int) -> Row:
        told = {"trade_id": str(number), "price": Decimal(1), "size": Decimal(1)}
        return {"ts_event": START + number * 1000 + micros, **told}

    _land(lake, "trades", "A", "a", [traded(number, 0) for number in range(20)])
    exact = [traded(0, 0), traded(1, 456), traded(2, 1), traded(2, 2)]
    _land(lake, "trades", "A", "b", exact)
    # Too few rows to say that the source has milliseconds: each is another trade.
    _land(lake, "trades", "B", "a", [traded(number, 0) for number in range(19)])
    _land(lake, "trades", "B", "b", exact)
    assert _dbt(lake, tmp_path, "run", "--select", "+trades").returncode == 0
    with duckdb.connect(str(tmp_path / "test.duckdb"), read_only=True) as connection:
        kept = connection.execute(
            "select symbol, array_agg(epoch_us(ts_event) - ? order by trade_seq) "
            "from compacted.trades group by symbol order by symbol",
            [START],
        ).fetchall()
    coarse = [number * 1000 for number in range(20)]
    assert kept == [
        ("A", [0, 1456, 2001, 2002, *coarse[3:]]),
        ("B", [0, 1000, 1456, 2000, 2001, 2002, *coarse[3:19]]),
    ]
    result = _dbt(lake, tmp_path, "test", "--select", "assert_trades_are_the_distinct_raw_trades")
    assert result.returncode == 0, result.output


def expected_books(arrived: Sequence[Row]) -> list[tuple[Any, ...]]:
    """Go through the rows in order and keep what is not known yet."""
    kept: list[Row] = []
    ordered = sorted(arrived, key=lambda row: (row["ts_event"], row["seq"] or 0))
    said: list[Any] = [(row["ts_event"], row["seq"], _key(row)) for row in ordered]
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
    """Leave out what was said already with an id, and what an aggregated trade stands for."""
    ranges = [(row["price"], row["first_id"], row["last_id"]) for row in arrived if row["first_id"]]
    kept: list[Row] = []
    for row in arrived:
        said = {name: value for name, value in row.items() if name != "ts_capture"}
        is_aggregated = row["first_id"] is None and any(
            price == row["price"] and first <= _number(row["trade_id"]) <= last
            for price, first, last in ranges
        )
        if not is_aggregated and (row["trade_id"] is None or said not in kept):
            kept.append(said)
    kept.sort(key=lambda row: (row["ts_event"], _number(row["trade_id"])))
    names = ["ts_event", *TRADE_COLUMNS[1:]]
    return [(place, *(row[name] for name in names)) for place, row in enumerate(kept, 1)]


def _number(trade_id: str | None) -> int:
    return int(trade_id) if trade_id and trade_id.isdigit() else -1


def _trade(rng: random.Random) -> Row:
    first_id = rng.choice([None, None, None, None, None, 2])
    return {
        "ts_event": START + rng.choice([0, 1, 1000]),
        "ts_capture": START + rng.randrange(3),
        "trade_id": rng.choice(TRADE_IDS),
        "price": Decimal(rng.randrange(1, 3)),
        "size": Decimal(rng.randrange(1, 3)),
        "side": rng.choice([None, "buy", "buy", "sell"]),
        "first_id": first_id,
        "last_id": first_id and rng.choice([2, 3]),
    }


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
