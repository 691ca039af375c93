"""The trades of a unit, symbol by symbol, against one symbol at a time."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from ticklake import bar_models
from ticklake.bar_models import bucket_volume, threshold_bars, vpin_buckets
from ticklake.microstructure import bar_tables, bucket_tables
from ticklake.microstructure.bar_tables import TIME, read_day
from ticklake.microstructure.exact import STORED

DAYS = (date(2025, 8, 1), date(2025, 8, 2))
SYMBOLS = ("A", "B'C", "D")
COUNT = 40


def trades(symbol: str, day: date) -> pa.Table:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    times = [midnight + timedelta(minutes=30 * number) for number in range(COUNT)]
    sizes = [1 + (number * 7 + ord(symbol[0]) + day.day) % 13 for number in range(COUNT)]
    columns: dict[str, Any] = {
        "exchange": ["x"] * COUNT,
        "symbol": [symbol] * COUNT,
        "date": pa.array([day] * COUNT, pa.date32()),
        "trade_seq": pa.array(range(1, COUNT + 1), pa.int64()),
        "ts_event": pa.array(times, TIME),
        "ts_capture": pa.array(times, TIME),
        "price": pa.array([Decimal(100 + number % 5) for number in range(COUNT)], STORED),
        "size": pa.array([Decimal(size) / 10 for size in sizes], STORED),
        "side": [("buy", "sell", None)[size % 3] for size in sizes],
    }
    return pa.table(columns)


@pytest.fixture
def connection() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    connection.execute("set variable unit_date = date '2025-08-02'")
    connection.register(
        "chosen",
        pa.table(
            {
                "exchange": ["*", "*", "x"],
                "symbol": ["A", "*", "D"],
                "bar_type": ["tick", "volume", "volume"],
                "threshold": pa.array([Decimal(3), Decimal(5), Decimal("2.5")], STORED),
            }
        ),
    )
    return connection


def relation(connection: duckdb.DuckDBPyConnection, *tables: pa.Table) -> duckdb.DuckDBPyRelation:
    connection.register("trades", pa.concat_tables(tables))
    return connection.sql("from trades")


def both_days(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyRelation:
    return relation(connection, *(trades(symbol, day) for symbol in SYMBOLS for day in DAYS))


def alone(symbol: str, day: date) -> bar_tables.Day:
    return read_day("x", symbol, day, trades(symbol, day).to_batches())


@pytest.mark.parametrize("batch_rows", [7, 40, 1_000])
def test_symbols_and_days_do_not_mix(
    connection: duckdb.DuckDBPyConnection, batch_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bar_models, "BATCH_ROWS", batch_rows)
    bars = threshold_bars(both_days(connection), connection.sql("from chosen"), ["volume"], 50)
    expected = [
        bar_tables.threshold_bars(alone(symbol, DAYS[1]), "volume", Decimal(limit))
        for symbol, limit in zip(SYMBOLS, ("5", "5", "2.5"), strict=True)
    ]
    assert bars.read_all().to_pylist() == pa.concat_tables(expected).to_pylist()


@pytest.mark.parametrize("batch_rows", [7, 1_000])
def test_buckets_know_those_of_the_day_before(
    connection: duckdb.DuckDBPyConnection, batch_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bar_models, "BATCH_ROWS", batch_rows)
    buckets = vpin_buckets(both_days(connection), connection.sql("from chosen"), 10, 12).read_all()
    expected = []
    for symbol in SYMBOLS:
        limit = sum(trades(symbol, DAYS[0])["size"].to_pylist()) / 10
        limit = limit.quantize(Decimal("0.1"), "ROUND_CEILING")
        earlier = bucket_tables.filled(alone(symbol, DAYS[0]), limit, 12)
        expected.append(bucket_tables.bucket_table(alone(symbol, DAYS[1]), limit, 12, earlier))
    assert buckets.to_pylist() == pa.concat_tables(expected).to_pylist()
    assert buckets["vpin"].null_count < len(buckets)


def test_only_symbols_of_the_day_with_a_threshold_have_bars(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    rows = relation(connection, trades("A", DAYS[1]), trades("D", DAYS[0]))
    chosen = connection.sql("from chosen")
    assert set(threshold_bars(rows, chosen, ["tick"], 50).read_all()["symbol"].to_pylist()) == {"A"}
    assert len(threshold_bars(rows, chosen, ["dollar"], 50).read_all()) == 0
    assert len(vpin_buckets(rows, chosen, 50, 50).read_all()) == 0


def test_a_bucket_of_vpin_is_the_smallest_chosen_or_a_share_of_the_day_before(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    chosen = connection.sql("from chosen")
    share = sum(trades("D", DAYS[0])["size"].to_pylist()) / 10
    share = share.quantize(Decimal("0.1"), "ROUND_CEILING")
    before = relation(connection, trades("D", DAYS[0]))
    assert bucket_volume(before, chosen, 10) == share  # a day without trades has buckets to look on
    assert bucket_volume(before, chosen, 50) is None  # 40 trades say too little
    today = relation(connection, trades("D", DAYS[1]))
    assert bucket_volume(today, chosen, 10) is None
    assert bucket_volume(today.limit(0), chosen, 10) is None
    of_vpin = "select exchange, symbol, 'vpin' as bar_type, threshold"
    several = connection.sql(f"{of_vpin} from chosen union all {of_vpin} + 1 from chosen")
    assert bucket_volume(today, several, 10) == Decimal("2.5")


def test_a_day_with_vastly_more_volume_is_not_cut_by_the_day_before(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    """What cuts trades would cut them in millions of parts; other bars hold a trade at least."""
    before = trades("B'C", DAYS[0])
    tiny = pa.array([Decimal("1e-9")] * COUNT, STORED)
    before = before.set_column(before.column_names.index("size"), "size", tiny)
    rows = relation(connection, before, trades("B'C", DAYS[1]), trades("D", DAYS[1]))
    none = connection.sql("from chosen where false")
    kinds = ["volume", "volume_split"]
    bars = threshold_bars(rows, none, kinds, 10).read_all()
    assert set(bars["bar_type"].to_pylist()) == {"volume"}
    assert len(bars) == COUNT
    assert len(vpin_buckets(rows, none, 10, 50).read_all()) == 0
    assert bucket_volume(rows.filter("symbol <> 'D'"), none, 10) is None


def test_trades_of_a_symbol_in_two_places_are_refused(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    halves = [trades("A", DAYS[1]).slice(0, 20), trades("A", DAYS[1]).slice(20)]
    rows = relation(connection, halves[0], trades("D", DAYS[1]), halves[1])
    with pytest.raises(ValueError, match="come after those of"):
        threshold_bars(rows, connection.sql("from chosen"), ["volume"], 50).read_all()


def test_a_symbol_that_adds_up_to_more_than_bars_hold_stops_no_other(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    def huge(symbol: str, day: date) -> pa.Table:
        table = trades(symbol, day)
        size = pa.array([Decimal(5 * 10**11)] * COUNT, STORED)  # 5e13 a trade, 2e15 a day
        return table.set_column(table.schema.get_field_index("size"), "size", size)

    others = [trades(symbol, day) for symbol in ("A", "D") for day in DAYS]
    parts = [*others[:2], huge("B'C", DAYS[0]), huge("B'C", DAYS[1]), *others[2:]]
    chosen = connection.table("chosen")
    with_it = threshold_bars(relation(connection, *parts), chosen, ["tick", "dollar"], 5).read_all()
    assert with_it["symbol"].unique().to_pylist() == ["A", "D"]
    without = threshold_bars(relation(connection, *others), chosen, ["tick", "dollar"], 5)
    assert with_it == without.read_all()
    # Below the overflow, but not surely: the bound is a little lower.
    near = trades("E", DAYS[1]).slice(0, 1)
    price = pa.array([Decimal("99999999999999.9")], STORED)
    near = near.set_column(near.schema.get_field_index("price"), "price", price)
    near = near.set_column(near.schema.get_field_index("size"), "size", pa.array([1], STORED))
    assert not len(threshold_bars(relation(connection, near), chosen, ["volume"], 5).read_all())


def test_symbols_in_one_file_of_many_row_groups_come_in_order(tmp_path: Path) -> None:
    """As trades known by fills lie: a join in the query would mix the row groups."""
    file = tmp_path / "data.parquet"
    with duckdb.connect(config={"threads": 4}) as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute("set variable unit_date = date '2025-08-02'")
        connection.execute(f"""
            copy (
                select 'x' as exchange, printf('S%02d', s) as symbol,
                    date '2025-08-02' as date, n as trade_seq,
                    timestamptz '2025-08-02 00:00:00+00' + to_seconds(n) as ts_event,
                    null::timestamptz as ts_capture, cast(100 as decimal(38, 12)) as price,
                    cast(1 as decimal(38, 12)) as size, 'buy' as side
                from range(40) as symbols(s), range(1, 10001) as numbers(n)
                order by symbol, trade_seq
            ) to '{file}' (format parquet, row_group_size 4096)""")
        chosen = connection.sql("""
            select 'x' as exchange, printf('S%02d', s) as symbol, 'tick' as bar_type,
                cast(1000 as decimal(38, 12)) as threshold
            from range(40) as symbols(s) where s % 3 = 1""")
        rows = connection.sql(f"from read_parquet('{file}')")
        bars = threshold_bars(rows, chosen, ["tick"], 50).read_all()
    symbols = [f"S{number:02}" for number in range(40) if number % 3 == 1]
    assert bars["symbol"].to_pylist() == [symbol for symbol in symbols for _ in range(10)]
