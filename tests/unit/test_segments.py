"""Segments: which rows lie where in the files that landing writes."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.channels import CHANNELS
from ticklake.fills.merging import LIMITS
from ticklake.lake import segments
from ticklake.lake.raw import StagedSegment
from ticklake.lake.segments import Channel, SegmentWriter

NOON = int(datetime(2025, 8, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000
DAY = 86_400_000_000
SCHEMA = pa.schema(
    [("ts_event", pa.timestamp("us", tz="UTC")), ("coin", pa.string()), ("arrival", pa.int64())]
)
PLAIN = Channel("plain", ("exchange", "date"), SCHEMA, dictionary=("coin",))
CLUSTERED = Channel("c", ("exchange", "date"), SCHEMA, dictionary=("coin",), cluster_by="coin")

Row = tuple[int, str | None, int]
"""Time, coin, arrival."""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "BLOCK", 100)
    monkeypatch.setattr(segments, "BLOCK_ROW_GROUP", 30)


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


def in_order(block: list[Row]) -> list[Row]:
    """By the bytes of the coin, null last, and arrival."""
    return sorted(block, key=lambda row: (row[1] is None, (row[1] or "").encode(), row[2]))


@pytest.mark.usefixtures("small")
def test_rows_are_in_order_of_coin_and_then_arrival_in_each_block(tmp_path: Path) -> None:
    rows = some_rows(330)
    (segment,) = landed(tmp_path / "a", CLUSTERED, rows, batch=25)
    blocks = [rows[begin : begin + 100] for begin in (0, 100, 200, 300)]
    assert rows_of(segment) == [row for block in blocks for row in in_order(block)]
    assert segment.rows == 330


@pytest.mark.usefixtures("small")
def test_a_block_ends_with_a_batch_and_is_row_groups_of_one_size(tmp_path: Path) -> None:
    rows = some_rows(250)
    (segment,) = landed(tmp_path / "a", CLUSTERED, rows, batch=40)
    assert rows_of(segment) == in_order(rows[:120]) + in_order(rows[120:240]) + in_order(rows[240:])
    assert group_sizes(segment) == [30, 30, 30, 30, 30, 30, 30, 30, 10]
    (segment,) = landed(tmp_path / "b", CLUSTERED, rows[:101], batch=101)
    assert group_sizes(segment) == [26, 26, 26, 23]


@pytest.mark.usefixtures("small")
def test_bytes_depend_on_rows_and_batches_alone(tmp_path: Path) -> None:
    rows = some_rows(330)
    (first,) = landed(tmp_path / "a", CLUSTERED, rows, batch=25)
    (second,) = landed(tmp_path / "b", CLUSTERED, rows, batch=25)
    assert first.sha256 == second.sha256


@pytest.mark.usefixtures("small")
def test_each_partition_has_blocks_of_its_own(tmp_path: Path) -> None:
    rows = some_rows(900, days=3)
    found = landed(tmp_path / "a", CLUSTERED, rows, batch=1)
    assert [segment.folder[-10:] for segment in found] == ["2025-08-01", "2025-08-02", "2025-08-03"]
    for day, segment in enumerate(found):
        mine = [row for row in rows if row[0] == NOON + day * DAY]
        blocks = [mine[begin : begin + 100] for begin in range(0, len(mine), 100)]
        assert rows_of(segment) == [row for block in blocks for row in in_order(block)]


def test_where_not_all_can_wait_the_largest_partition_is_written_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten rows of 30 bytes or so may wait: blocks are cut, and each is in order."""
    monkeypatch.setattr(segments, "BLOCK_BYTES", 300)
    rows = some_rows(200, days=2)
    for segment in landed(tmp_path / "a", CLUSTERED, rows, batch=1):
        sizes, found = group_sizes(segment), rows_of(segment)
        assert len(sizes) > 5
        assert max(sizes) < 30
        begin = 0
        for size in sizes:
            block, begin = found[begin : begin + size], begin + size
            assert block == in_order(block)
        assert {row[2] for row in found} == {row[2] for row in rows if row[0] == found[0][0]}
        firsts = [min(row[2] for row in found[sum(sizes[:at]) :]) for at in range(len(sizes))]
        assert firsts == sorted(firsts)


@pytest.mark.usefixtures("small")
def test_a_channel_without_clusters_stays_in_order_of_arrival(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row groups have a size of their own, and bounds of all columns."""
    monkeypatch.setattr(segments, "ROW_GROUP", 150)
    rows = some_rows(330)
    (segment,) = landed(tmp_path / "a", PLAIN, rows, batch=25)
    assert rows_of(segment) == rows
    assert group_sizes(segment) == [150, 150, 30]
    as_before = tmp_path / "as_before"
    options = {"compression": "zstd", "compression_level": 1, "store_schema": False}
    with pq.ParquetWriter(as_before, SCHEMA, use_dictionary=["coin"], **options) as writer:
        table = pq.read_table(segment.file, partitioning=None)
        for begin in range(0, 330, 150):
            writer.write_table(table.slice(begin, 150), row_group_size=150)
    assert segment.file.read_bytes() == as_before.read_bytes()


@pytest.mark.usefixtures("small")
def test_row_groups_say_which_coins_they_hold(tmp_path: Path) -> None:
    rows = [row for row in some_rows(90) if row[1]]
    (segment,) = landed(tmp_path / "a", CLUSTERED, rows, batch=90)
    metadata = pq.read_metadata(segment.file)
    for group in range(metadata.num_row_groups):
        bounds = metadata.row_group(group).column(1).statistics
        coins = pq.ParquetFile(segment.file).read_row_group(group)["coin"].to_pylist()
        assert (bounds.min.encode(), bounds.max.encode()) == (
            min(coin.encode() for coin in coins), max(coin.encode() for coin in coins)
        )  # fmt: skip


def test_fills_alone_are_clustered() -> None:
    assert {channel.name: channel.cluster_by for channel in CHANNELS.values()} == {
        **dict.fromkeys(CHANNELS), "fills": "coin"
    }  # fmt: skip


def test_no_segment_of_fills_has_more_blocks_than_are_merged_as_they_are() -> None:
    """Compaction puts a segment in too many sorted runs in order once more."""
    for row_count in range(1, 5_000_000, 9_973):
        block_count = -(-row_count // segments.BLOCK)
        assert block_count <= max(2, row_count // LIMITS.run), row_count
