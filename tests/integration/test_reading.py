"""`ticklake.read` gives the rows of a range in stored order and opens nothing else."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ticklake
from tests.conftest import Lake, _lake_at
from tests.integration.pipeline import Pipeline
from ticklake.lake.errors import LakeError

NOON = 43_200


@pytest.fixture
def anywhere(lake: Lake) -> Pipeline:
    """Three days of two symbols, on each kind of storage."""
    return built(lake)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The same in a local lake, where the place makes no difference."""
    return built(_lake_at(str(tmp_path / "lake"), {}, monkeypatch))


def built(lake: Lake) -> Pipeline:
    pipeline = Pipeline(lake.root, lake.storage, lake.connect())
    for day in (1, 2, 3):
        rows = [(NOON, "A", 10 * day + 1), (5, "A", 10 * day), (NOON, "B/C", -day)]
        pipeline.land("x", f"2025-01-0{day}", "a", rows)
    pipeline.build()
    return pipeline


def values(*arguments: Any, **keywords: Any) -> list[int]:
    relation = ticklake.read(*arguments, columns=["value"], **keywords)
    return [value for (value,) in relation.fetchall()]


def test_rows_come_in_stored_order_with_their_types(anywhere: Pipeline) -> None:
    relation = ticklake.read("ticks")
    assert list(zip(relation.columns, map(str, relation.types), strict=True)) == [
        ("exchange", "VARCHAR"),
        ("symbol", "VARCHAR"),
        ("date", "DATE"),
        ("ts_event", "TIMESTAMP WITH TIME ZONE"),
        ("value", "BIGINT"),
    ]
    assert values("compacted.ticks") == [10, 11, 20, 21, 30, 31, -1, -2, -3]
    assert relation.fetchone() == (
        "x", "A", date(2025, 1, 1), datetime(2025, 1, 1, 0, 0, 5, tzinfo=UTC), 10,
    )  # fmt: skip


def test_days_count_whole_and_instants_to_the_microsecond(pipeline: Pipeline) -> None:
    def of_a(start: Any = None, end: Any = None) -> list[int]:
        return values("ticks", symbol="A", start=start, end=end)

    assert of_a("2025-01-02", "2025-01-02") == [20, 21]
    assert of_a(date(2025, 1, 2)) == [20, 21, 30, 31]
    assert of_a(end="2025-01-01") == [10, 11]
    assert of_a("2025-01-01T12:00", "2025-01-02T12:00") == [11, 20]
    assert of_a(datetime(2025, 1, 1, 12, tzinfo=UTC), "2025-01-02T12:00:00.000001Z") == [
        11, 20, 21,
    ]  # fmt: skip
    assert of_a(datetime(2025, 1, 1, 12, 0, 0, 1), date(2025, 1, 2)) == [20, 21]
    assert of_a("2025-01-01T13:00+01:00", "2025-01-02T00:00") == [11]


def test_symbols_and_exchanges_are_one_or_several(pipeline: Pipeline) -> None:
    assert values("ticks", symbol="B/C") == [-1, -2, -3]
    assert values("ticks", symbol=["A", "B/C"], exchange="x", end="2025-01-01") == [10, 11, -1]
    assert values("ticks", exchange="y") == []
    totals = ticklake.read("totals", symbol="A", columns=["date", "total"])
    assert totals.fetchall()[0] == (date(2025, 1, 1), 42)


def test_only_partitions_in_range_are_opened(pipeline: Pipeline) -> None:
    path = "compacted/ticks/exchange=x/symbol=A/date=2025-01-01/data.parquet"
    pipeline.storage.write(path, b"no Parquet")
    assert values("ticks", symbol="A", start="2025-01-02") == [20, 21, 30, 31]
    with pytest.raises(duckdb.Error, match="2025-01-01"):
        values("ticks", symbol="A")


def test_only_partitions_of_one_symbol_are_listed(
    anywhere: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(anywhere.storage)
    entries, listed = kind.entries, []

    def note(self: Any, prefix: str) -> Any:
        listed.append(prefix)
        return entries(self, prefix)

    monkeypatch.setattr(kind, "entries", note)
    assert values("compacted.ticks", exchange="x", symbol="B/C") == [-1, -2, -3]
    assert listed == ["compacted/ticks", "compacted/ticks/exchange=x/symbol=B%2FC"]


def test_a_range_without_rows_keeps_the_types(pipeline: Pipeline) -> None:
    for choice in ({"start": "2030-01-01"}, {"symbol": "D"}, {"end": "2025-01-01T00:00"}):
        empty = ticklake.read("ticks", **choice)
        assert empty.fetchall() == []
        assert empty.types == ticklake.read("ticks").types


def test_polars_gets_a_frame(anywhere: Pipeline) -> None:
    frame = ticklake.read("ticks", symbol="A", end="2025-01-01", as_="polars")
    assert frame["value"].to_list() == [10, 11]
    assert frame.schema["date"] == pl.Date
    lazy = ticklake.read("ticks", symbol="A").pl(lazy=True)
    assert lazy.filter(pl.col("value") > 20).collect()["value"].to_list() == [21, 30, 31]


def test_a_table_by_month_gives_the_days_asked_for(pipeline: Pipeline) -> None:
    folder = "raw/klines/exchange=x/symbol=A/interval=1d"
    for month in ("2025-01", "2025-02"):
        times = [datetime(2025, int(month[5:]), day, tzinfo=UTC) for day in (1, 27, 28)]
        table = pa.table({"open_time": pa.array(times, pa.timestamp("us", "UTC"))})
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        pipeline.storage.write(
            f"{folder}/month={month}/a.parquet", sink.getvalue().to_pybytes()
        )  # fmt: skip
    relation = ticklake.read(
        "raw.klines", symbol="A", start="2025-01-28", end=date(2025, 2, 27), columns=["open_time"]
    )
    assert [f"{time:%m-%d}" for (time,) in relation.fetchall()] == ["01-28", "02-01", "02-27"]


def test_relations_of_one_lake_can_be_joined(pipeline: Pipeline) -> None:
    ticks = ticklake.read("ticks", columns=["symbol", "ts_event", "value"]).set_alias("ticks")
    steps = ticklake.read("steps", columns=["symbol", "ts_event", "previous"]).set_alias("steps")
    joined = ticks.join(steps, "ticks.symbol = steps.symbol and ticks.ts_event = steps.ts_event")
    assert joined.count("*").fetchone() == (9,)


def test_raw_segments_are_read_by_their_full_name(anywhere: Pipeline) -> None:
    assert len(values("raw.ticks")) == 9
    connection = duckdb.connect()
    own = ticklake.read("raw.ticks", connection=connection, root=anywhere.root)
    assert own.count("*").fetchone() == (9,)


def test_a_start_after_the_end_is_refused(pipeline: Pipeline) -> None:
    for start, end in (
        ("2025-01-02", "2025-01-01"),
        ("2025-01-02T00:00", "2025-01-01"),
        ("2025-01-01T12:00", "2025-01-01T11:59:59"),
        ("2025-01-02", "2025-01-01T23:59"),
    ):
        with pytest.raises(LakeError, match=f"start {start} is after end {end}"):
            ticklake.read("ticks", start=start, end=end)
    for start, end in (
        ("2025-01-01", "2025-01-01"),
        ("2025-01-01", "2025-01-01T00:00"),
        ("2025-01-01T23:59", "2025-01-01"),
    ):
        ticklake.read("ticks", start=start, end=end)


def test_what_is_not_there_is_named(pipeline: Pipeline) -> None:
    with pytest.raises(LakeError, match=r"There is no table 'trades' .* compacted\.steps, compac"):
        ticklake.read("trades")
    with pytest.raises(LakeError, match=r'(?s)compacted\.ticks cannot be read like that.*"price"'):
        ticklake.read("ticks", columns=["price"])
    with pytest.raises(LakeError, match="'yesterday' is no day like 2025-08-01"):
        ticklake.read("ticks", start="yesterday")
    with pytest.raises(LakeError, match=r"compacted\.totals has no time column: give days"):
        ticklake.read("totals", start="2025-01-01T12:00")
