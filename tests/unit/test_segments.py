"""Segments: which rows lie where in the files that landing writes."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ticklake.lake import segments
from ticklake.lake.raw import StagedSegment
from ticklake.lake.segments import Channel, SegmentWriter

NOON = int(datetime(2025, 8, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000
DAY = 86_400_000_000
SCHEMA = pa.schema(
    [("ts_event", pa.timestamp("us", tz="UTC")), ("coin", pa.string()), ("arrival", pa.int64())]
)
PLAIN = Channel("plain", ("exchange", "date"), SCHEMA, dictionary=("coin",))

Row = tuple[int, str | None, int]
"""Time, coin, arrival."""


def some_rows(count: int, days: int = 1) -> list[Row]:
    chosen = random.Random(7)
    coins = ["BTC", "ETH", "@107", "kPEPE", "ñ", "\U0001f680", None]
    return [
        (NOON + chosen.randrange(days) * DAY, chosen.choice(coins), arrival)
        for arrival in range(count)
    ]


def landed(folder: Path, channel: Channel, rows: list[Row], batch: int) -> list[StagedSegment]:
    folder.mkdir()
    writer = SegmentWriter(folder)
    for begin in range(0, len(rows), batch):
        columns = zip(*rows[begin : begin + batch], strict=True)
        arrays = [pa.array(column, item.type) for column, item in zip(columns, SCHEMA, strict=True)]
        writer.append(channel, ("venue",), pa.table(arrays, schema=SCHEMA))
    return writer.finish()


def rows_of(segment: StagedSegment) -> list[Row]:
    table = pq.read_table(segment.file, partitioning=None)
    times = table["ts_event"].cast(pa.int64()).to_pylist()
    return [*zip(times, table["coin"].to_pylist(), table["arrival"].to_pylist(), strict=True)]


def group_sizes(segment: StagedSegment) -> list[int]:
    metadata = pq.read_metadata(segment.file)
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def test_rows_stay_in_order_of_arrival_in_row_groups_of_one_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "ROW_GROUP", 150)
    rows = some_rows(330)
    (segment,) = landed(tmp_path / "a", PLAIN, rows, batch=25)
    assert rows_of(segment) == rows
    assert segment.rows == 330
    assert group_sizes(segment) == [150, 150, 30]
    as_before = tmp_path / "as_before"
    options = {"compression": "zstd", "compression_level": 1, "store_schema": False}
    with pq.ParquetWriter(as_before, SCHEMA, use_dictionary=["coin"], **options) as writer:
        table = pq.read_table(segment.file, partitioning=None)
        for begin in range(0, 330, 150):
            writer.write_table(table.slice(begin, 150), row_group_size=150)
    assert segment.file.read_bytes() == as_before.read_bytes()


def test_bytes_depend_on_rows_and_batches_alone(tmp_path: Path) -> None:
    rows = some_rows(330)
    (first,) = landed(tmp_path / "a", PLAIN, rows, batch=25)
    (second,) = landed(tmp_path / "b", PLAIN, rows, batch=25)
    assert first.sha256 == second.sha256


def test_each_partition_has_a_file_of_its_own(tmp_path: Path) -> None:
    rows = some_rows(900, days=3)
    found = landed(tmp_path / "a", PLAIN, rows, batch=1)
    assert [segment.folder[-10:] for segment in found] == ["2025-08-01", "2025-08-02", "2025-08-03"]
    for day, segment in enumerate(found):
        assert rows_of(segment) == [row for row in rows if row[0] == NOON + day * DAY]


def test_the_largest_partition_is_written_early_if_not_all_can_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten rows of 30 bytes or so may wait."""
    monkeypatch.setattr(segments, "WAITING_BYTES", 300)
    rows = some_rows(200, days=2)
    for segment in landed(tmp_path / "a", PLAIN, rows, batch=1):
        sizes, found = group_sizes(segment), rows_of(segment)
        assert len(sizes) > 5
        assert max(sizes) < 30
        assert found == [row for row in rows if row[0] == found[0][0]]
