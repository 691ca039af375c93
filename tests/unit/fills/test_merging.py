"""Merging gives what `fills.sql` gives of the same segments: row by row, in stored order."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.hyperliquid.schema import RAW_SCHEMA
from ticklake.fills import copying, merging, ordering, repeats
from ticklake.fills.columns import FILLS
from ticklake.fills.continued import Continued
from ticklake.fills.copying import Part, batch_of
from ticklake.fills.merging import Limits, merged
from ticklake.fills.rooms import Rooms
from ticklake.fills.row_groups import Column, Text, decoded
from ticklake.fills.scratch import Mapped
from ticklake.fills.segments import Rows, Segment, _plain_type
from ticklake.lake import writing
from ticklake.lake.inputs import read_segments
from ticklake.lake.specs import InputSpec
from ticklake.lake.writing import _is_by_row, write_in_order

REPOSITORY = Path(__file__).parents[3]
KEYS = ("exchange", "date")
REQUIRED = {"ts_event", "user", "coin", "px", "sz", "side", "tid", "oid"}
START = 1_754_006_400_000_000

(MODEL,) = yaml.safe_load((REPOSITORY / "python_models/compacted/fills.yml").read_text())["models"]
ORDER = MODEL["config"]["order_by"]
EXAMPLES = yaml.safe_load((Path(__file__).parent / "examples.yml").read_text())

Row = dict[str, Any]


def reference_sql() -> str:
    """The query of fills.sql in the order of the model, for files in the variable in_fills."""
    (source,) = yaml.safe_load((REPOSITORY / "models/sources/raw.yml").read_text())["sources"]
    columns = {
        column["name"]: column["data_type"]
        for column in next(table for table in source["tables"] if table["name"] == "fills")[
            "columns"
        ]
        if column["name"] not in ("segment", "segment_row")
    }
    rows = read_segments(InputSpec("fills", "", KEYS, columns, True), "getvariable('in_fills')")
    macro = (REPOSITORY / "macros/exact_decimal.sql").read_text()
    reference = (Path(__file__).parent / "fills.sql").read_text()
    query = jinja2.Environment().from_string(macro + reference)
    sql = query.render(lake_source=lambda *_: f"({rows})")
    return f"select * exclude ({', '.join(KEYS)}) from ({sql}) order by {', '.join(ORDER)}"


SQL = reference_sql()


def by_sql(files: Sequence[Path]) -> pa.Table:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"set variable in_fills = {[str(file) for file in files]}")
        return connection.execute(SQL).to_arrow_table()


def by_merging(files: Sequence[Path], folder: Path, limits: Limits) -> pa.Table:
    """Merge, write as tables are written, and read that as analysts do."""
    file = folder / "merged.parquet"
    reader = merged(files, folder, limits)
    schema = pa.schema([field.with_type(_plain_type(field.type)) for field in reader.schema])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "ROW_GROUP", limits.batch)
        staged = write_in_order(schema, validated(reader), ORDER, file)
        with duckdb.connect() as connection:
            connection.execute("set timezone = 'UTC'")
            found = connection.execute(f"from '{file}'").to_arrow_table()
        again = found.cast(reader.schema).combine_chunks().to_batches(max_chunksize=3)
        same = write_in_order(schema, again, ORDER, folder / "again").sha256
    assert staged.sha256 == same, "the bytes depend on the rows alone"
    return found


def validated(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        batch.validate(full=True)
        repeated = (column for column in batch.columns if pa.types.is_dictionary(column.type))
        assert all(map(_is_by_row, repeated)), "the writer takes them as they are"
        yield batch


def listed(table: pa.Table) -> list[Row]:
    """The rows, with times as numbers: Python has no nanoseconds."""
    for place, item in enumerate(table.schema):
        if pa.types.is_timestamp(item.type):
            table = table.set_column(place, item.name, table[item.name].cast(pa.int64()))
    return list(table.to_pylist())


def written(
    folder: Path, segments: Sequence[Sequence[Row]], group: int, left_out: Sequence[str] = ()
) -> list[Path]:
    """Write segments with their columns but some that are optional and null in all rows."""
    place = folder / "exchange=hyperliquid" / "date=2025-08-01"
    place.mkdir(parents=True, exist_ok=True)
    files = []
    for number, rows in enumerate(segments):
        table = pa.Table.from_pylist(list(rows), RAW_SCHEMA)
        table = table.drop_columns(
            [name for name in left_out if table[name].null_count == len(table)]
        )
        files.append(place / f"segment_{number:02}.parquet")
        pq.write_table(table, files[-1], row_group_size=group, store_schema=False)
    return files


def nullable(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values, values)


decimals = st.sampled_from(
    [
        *("0.0", "1.5", "-2.25", "0.0000000001", "12345678901234567890.5", "7", " 1.5"),
        *("-0.000000000001", "99999999999999999999999999.999999999999", "1.50000000000000"),
    ]
)
# DuckDB 1.5.5 evaluates the first branch of exact_decimal for a field of a struct that takes the
# second, and so refuses what is long: merging does not.
short_decimals = st.sampled_from(["0.0", "1.5", "-2.25", "0.00000001", "9999999999.5"])
words = st.sampled_from(["", "a", "b", "Open Long", "\N{SNOWMAN}", "x" * 42, "y" * 66])
instants = st.integers(0, 5).map(lambda step: START + 1000 * step)
nanoseconds = st.integers(0, 3).map(lambda step: START * 1000 + step)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "ts_event": instants,
    "block_time": nullable(nanoseconds),
    "block_number": nullable(st.integers(1, 6)),
    "event_index": nullable(st.integers(0, 6)),
    "user": nullable(st.sampled_from(["0xa", "0xb", "0xB"])),
    "coin": st.sampled_from(["BTC", "@1", "kPEPE", "\N{SNOWMAN}"]),
    "px": nullable(decimals),
    "sz": decimals,
    "side": st.sampled_from(["A", "B"]),
    "startPosition": nullable(decimals),
    "dir": nullable(words),
    "closedPnl": nullable(decimals),
    "hash": nullable(words),
    "oid": nullable(st.integers(0, 2)),
    "crossed": nullable(st.booleans()),
    "fee": nullable(decimals),
    "tid": nullable(st.sampled_from([0, 1, 2, 1 << 50])),
    "feeToken": nullable(words),
    "cloid": nullable(words),
    "builder": nullable(words),
    "builderFee": nullable(decimals),
    "twapId": nullable(st.integers(0, 9)),
    "deployerFee": nullable(decimals),
    "priorityGas": nullable(decimals),
    "liquidation": nullable(
        st.fixed_dictionaries(
            {
                "liquidatedUser": nullable(words),
                "markPx": nullable(short_decimals),
                "method": nullable(words),
            }
        )
    ),
    "local_time": nullable(nanoseconds),
    "extra": nullable(words),
}
fills = st.fixed_dictionaries(FIELDS)
changes = st.one_of(
    st.just({"block_number": None}),  # the legacy form of the same fill
    *(st.fixed_dictionaries({name: FIELDS[name]}) for name in ("user", "tid", "oid", "side")),
    *(st.fixed_dictionaries({name: FIELDS[name]}) for name in ("dir", "event_index", "ts_event")),
)
"""What a row has other than a row that is there already: the same fill, or in the same place."""


@st.composite
def days(draw: st.DrawFn) -> list[list[Row]]:
    """Segments of one day, of which some are in order, in blocks or wholly, and some are not."""
    pool = draw(st.lists(fills, min_size=1, max_size=12))
    few = draw(st.lists(st.sampled_from(sorted(set(RAW_SCHEMA.names) - REQUIRED)), unique=True))
    segments = []
    for _ in range(draw(st.integers(1, 4))):
        picked = draw(st.lists(st.tuples(st.sampled_from(pool), st.none() | changes), max_size=25))
        rows = [row | (change or {}) | dict.fromkeys(few) for row, change in picked]
        by_block = draw(st.booleans())
        for index, row in enumerate(rows):
            if by_block and row["block_number"] is not None:
                row["event_index"] = index
        block = draw(st.sampled_from([1, 5, 25]))
        segments.append(
            [
                row
                for begin in range(0, len(rows), block)
                for row in sorted(rows[begin : begin + block], key=in_order)
            ]
        )
    return segments


def in_order(row: Row) -> tuple[Any, ...]:
    return (
        row["coin"],
        row["ts_event"],
        row["block_number"] or -1,
        99 if row["event_index"] is None else row["event_index"],
    )


@settings(max_examples=100, deadline=None)
@given(
    days(),
    st.sampled_from([1, 3, 100]),
    st.sampled_from([1, 8, 1000]),
    st.sampled_from([1, 2, 7, 1000]),
)
def test_merged_fills_are_those_of_the_model(
    tmp_path_factory: pytest.TempPathFactory,
    segments: list[list[Row]],
    group: int,
    run: int,
    at_once: int,
) -> None:
    folder = tmp_path_factory.mktemp("day")
    files = written(folder, segments, group, sorted(set(RAW_SCHEMA.names) - REQUIRED))
    limits = Limits(run, 2 * at_once, at_once, 4 * at_once, at_once, 3 * at_once, 2 * at_once)
    expected = by_sql(files)
    found = by_merging(files, folder, limits)
    assert found.schema == expected.schema
    assert listed(found) == listed(expected)


@pytest.mark.parametrize("example", EXAMPLES, ids=[one["name"] for one in EXAMPLES])
def test_examples(tmp_path: Path, example: dict[str, Any]) -> None:
    segments: dict[str, list[Row]] = {}
    for row in example["given"]:
        moment = datetime.fromisoformat(row["ts_event"])
        segments.setdefault(row["segment"], []).append({**row, "ts_event": moment})
    files = written(tmp_path, [segments[name] for name in sorted(segments)], 10)
    for found in (by_sql(files), by_merging(files, tmp_path, Limits())):
        rows = [{name: shown(row[name]) for name in example["expect"][0]} for row in listed(found)]
        assert rows == [
            {name: shown(value) for name, value in row.items()} for row in example["expect"]
        ]


def shown(value: Any) -> str | None:
    if value is None:
        return None
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


PLAIN: Row = {
    "ts_event": START,
    "block_number": 1,
    "event_index": 0,
    "user": "0xa",
    "coin": "BTC",
    "px": "1.5",
    "sz": "2.0",
    "side": "B",
    "oid": 1,
    "tid": 1,
    "crossed": True,
}


@pytest.mark.parametrize(
    ("column", "value", "where"),
    [
        ("px", "0.1234567890123", "px"),
        ("closedPnl", "1.5e-9", "closedPnl"),
        ("builderFee", "", "builderFee"),
        ("liquidation", {"markPx": "NaN"}, "liquidation.markPx"),
    ],
)
def test_a_number_that_is_not_exact_is_refused_with_its_column_and_file(
    tmp_path: Path, column: str, value: Any, where: str
) -> None:
    rows = [PLAIN, PLAIN | {"tid": 2, "event_index": 1, column: value}]
    files = written(tmp_path, [[PLAIN], rows], 10)
    number = value["markPx"] if isinstance(value, dict) else value
    with pytest.raises(ValueError, match=re.escape(f"{number!r} in {where} of {files[1]}")):
        by_merging(files, tmp_path, Limits())
    with pytest.raises(duckdb.ConversionException):
        by_sql(files)


def test_a_file_that_was_put_in_order_is_named_as_it_was_landed(tmp_path: Path) -> None:
    rows = [PLAIN | {"tid": tid, "event_index": 9 - tid, "px": "x"} for tid in range(4)]
    files = written(tmp_path, [rows], 10)
    with pytest.raises(ValueError, match=re.escape(f"px of {files[0]}")):
        by_merging(files, tmp_path, Limits())
    assert [file.name for file in tmp_path.glob("clustered*")] == ["clustered-0.parquet"]


def test_a_position_that_is_no_integer_any_more_is_refused(tmp_path: Path) -> None:
    rows = [PLAIN | {"tid": 1, "event_index": 2**31 - 2}, PLAIN | {"tid": 2, "event_index": 3}]
    files = written(tmp_path, [[row] for row in rows], 10)
    with pytest.raises(ValueError, match=f"event_index of {files[1]}"):
        by_merging(files, tmp_path, Limits())
    with pytest.raises(duckdb.ConversionException):
        by_sql(files)


@pytest.mark.parametrize("column", ["extra", "hash"])
def test_more_text_than_a_batch_can_hold_is_refused_with_its_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    rows = [PLAIN | {"tid": tid, "event_index": tid, column: f"{tid}" * 300} for tid in range(4)]
    files = written(tmp_path, [rows], 2)
    monkeypatch.setattr(copying, "MOST_TEXT", 1200)
    assert listed(by_merging(files, tmp_path, Limits())) == listed(by_sql(files))
    monkeypatch.setattr(copying, "MOST_TEXT", 1199)
    with pytest.raises(ValueError, match=f"{column}: a batch of 4 fills needs room for 1,200"):
        by_merging(files, tmp_path, Limits())


def test_sizes_of_text_are_added_beyond_an_integer() -> None:
    step = 1 << 30
    text = Text(np.empty(0, np.uint8), np.array([0, step], np.int32), None)
    rows = np.array([[0, 1, place] for place in range(4)], np.int64)
    part = Part(dict.fromkeys(FILLS.names) | {"extra": text}, *rows.T)
    with pytest.raises(ValueError, match=f"extra: .* {4 * step:,} bytes"):
        batch_of([part], 4, Rooms())


@pytest.mark.parametrize(
    ("has_equal_tids", "block", "again"),
    [(False, 2, 0), (True, 2, 0), (False, 3, 50)],  # of the last, some blocks are in two parts
)
def test_a_day_that_is_there_twice_is_compared_in_parts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    has_equal_tids: bool,
    block: int,
    again: int,
) -> None:
    sizes = []

    def noted(segments: Sequence[Segment], rows: Sequence[Rows]) -> Any:
        sizes.append(sum(map(len, rows)))
        return compared(segments, rows)

    compared = repeats._compared
    monkeypatch.setattr(repeats, "_compared", noted)
    rows = [
        PLAIN
        | {"coin": coin, "ts_event": START + row // 2, "block_number": row // block}
        | {"event_index": row % block, "tid": 0 if has_equal_tids else row, "oid": row}
        for coin, count in (("A", 100), ("B", 5), ("C", 4), ("D", 3))
        for row in range(count)
    ]
    files = written(tmp_path, [rows, rows], 7)
    assert listed(by_merging(files, tmp_path, Limits(suspects=20))) == listed(by_sql(files))
    assert sum(sizes) <= 2 * len(rows) + again, "a row is looked at once, or again for its block"
    assert max(sizes) <= max(20 + 2 * 7, again), "about so many, and a row group of each segment"


def test_a_fill_by_block_that_is_there_at_another_time_is_found_among_many(tmp_path: Path) -> None:
    rows = [
        PLAIN | {"ts_event": START + row, "block_number": row, "tid": row} for row in range(100)
    ]
    later = [row | {"ts_event": row["ts_event"] + 50} for row in rows]
    some = [row | {"tid": tid} for row in rows[:40] for tid in (row["tid"], 1000 + row["tid"])]
    files = written(tmp_path, [rows, [*some, *later]], 7)
    found = listed(by_merging(files, tmp_path, Limits(suspects=20)))
    assert found == listed(by_sql(files))
    assert len(found) == 140


def test_a_day_without_a_fill_has_no_batch(tmp_path: Path) -> None:
    assert list(merged([], tmp_path)) == []
    assert list(merged(written(tmp_path, [[], []], 10), tmp_path)) == []


def test_columns_of_other_types_are_read_as_declared_ones(tmp_path: Path) -> None:
    row = PLAIN | {
        "cloid": "c",
        "block_time": START * 1000 + 1999,
        "event_index": 3,
        "liquidation": {"liquidatedUser": "0xb", "markPx": None, "method": None},
    }
    files = written(tmp_path, [[row, PLAIN]], 10)
    table = pq.read_table(files[0], partitioning=None)
    kinds = {
        "ts_event": pa.timestamp("ms"),
        "block_time": pa.timestamp("us"),
        "block_number": pa.int16(),
        "event_index": pa.int8(),
        "user": pa.large_string(),
        "coin": pa.dictionary(pa.int8(), pa.string()),
        "cloid": pa.dictionary(pa.int8(), pa.large_string()),
    }
    columns = {name: table[name].cast(kind, safe=False) for name, kind in kinds.items()}
    columns |= {"twapId": pa.nulls(2), "dir": pa.nulls(2)}
    users = table["liquidation"].combine_chunks().field("liquidatedUser")
    narrow = pa.StructArray.from_arrays([users], ["liquidatedUser"])
    for name, column in (columns | {"liquidation": narrow}).items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, files[0])
    assert listed(by_merging(files, tmp_path, Limits())) == listed(by_sql(files))


def test_names_of_columns_are_those_that_differ_in_case(tmp_path: Path) -> None:
    files = written(tmp_path, [[PLAIN | {"startPosition": "2.0", "dir": "Open Long"}]], 10)
    table = pq.read_table(files[0], partitioning=None)
    renamed = {"coin": "Coin", "startPosition": "startposition", "dir": "DIR"}
    pq.write_table(table.rename_columns([renamed.get(n, n) for n in table.column_names]), files[0])
    found = listed(by_merging(files, tmp_path, Limits()))
    assert (found[0]["symbol"], found[0]["direction"]) == ("BTC", "Open Long")
    assert found == listed(by_sql(files))


@pytest.mark.parametrize("column", ["hash", "cloid", "liquidation", "user"])
def test_text_that_is_no_utf_8_is_refused(tmp_path: Path, column: str) -> None:
    row = PLAIN | {"liquidation": {"liquidatedUser": "??", "markPx": "1.0", "method": "x"}}
    files = written(tmp_path, [[row | ({} if column == "liquidation" else {column: "??"})]], 10)
    pq.write_table(
        pq.read_table(files[0], partitioning=None), files[0], compression="none", store_schema=False
    )
    files[0].write_bytes(files[0].read_bytes().replace(b"??", b"\xff\xfe"))
    with pytest.raises(ValueError, match=f"{column}.* of {files[0]}: Invalid UTF8"):
        by_merging(files, tmp_path, Limits())


def test_a_page_that_cannot_be_read_names_its_segment(tmp_path: Path) -> None:
    rows = [PLAIN | {"tid": tid, "event_index": tid} for tid in range(100)]
    files = written(tmp_path, [rows], 100)
    content = bytearray(files[0].read_bytes())
    start = pq.read_metadata(files[0]).row_group(0).column(0).data_page_offset
    content[start : start + 30] = b"\xff" * 30
    files[0].write_bytes(content)
    with pytest.raises(ValueError, match=f"{files[0]} cannot be read"):
        by_merging(files, tmp_path, Limits())


def test_a_reader_may_stop_before_the_end(tmp_path: Path) -> None:
    rows = [PLAIN | {"tid": tid, "event_index": tid} for tid in range(50)]
    reader = merged(written(tmp_path, [rows], 5), tmp_path, Limits(batch=5))
    assert reader.read_next_batch().num_rows == 5
    reader.close()


def test_row_groups_are_read_when_they_are_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def noted(segment: Segment, group: int, continued: Continued) -> Mapping[str, Column]:
        read.append(group)
        return decoded(segment, group, continued)

    monkeypatch.setattr(merging, "decoded", noted)
    monkeypatch.setattr(ordering, "PASSED", 1)
    rows = [PLAIN | {"tid": tid, "event_index": tid} for tid in range(100)]
    reader = merged(written(tmp_path, [rows], 2), tmp_path, Limits(batch=2))
    assert not read
    reader.read_next_batch()
    assert len(read) <= 1 + merging.AHEAD
    assert sum(len(batch) for batch in reader) == 98
    assert sorted(read) == list(range(50))


@pytest.mark.parametrize(
    ("held", "files", "moved"), [(40, 99, 0), (8, 99, 8), (0, 99, 10), (0, 3, 3)]
)
def test_row_groups_that_memory_may_not_hold_wait_in_files_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, files: int, moved: int
) -> None:
    monkeypatch.setattr(merging, "_most_files", lambda: files)
    found = noted_moves(monkeypatch)
    rows = [PLAIN | {"tid": tid, "event_index": tid, "user": f"0x{tid}"} for tid in range(40)]
    # Each row group has rows of both coins, and is needed until the last of them.
    hours = [
        [row | {"coin": "AVAX" if row is some[0] else "ZRX"} for row in some]
        for some in (rows[begin : begin + 4] for begin in range(0, 40, 4))
    ]
    segments = written(tmp_path, hours, 4)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    reader = merged(segments, scratch, Limits(batch=10, held=held))
    batches = [reader.read_next_batch()]
    assert len(found) == moved
    assert not [*scratch.iterdir()]
    batches += reader
    assert listed(pa.Table.from_batches(batches)) == listed(by_sql(segments))
    assert len(found) == moved


def test_row_groups_that_are_used_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = noted_moves(monkeypatch)
    monkeypatch.setattr(merging, "AHEAD", 1)
    rows = [PLAIN | {"tid": tid, "event_index": tid} for tid in range(100)]
    reader = merged(written(tmp_path, [rows], 4), tmp_path, Limits(batch=4, held=20))
    assert sum(len(batch) for batch in reader) == 100
    assert not found


def noted_moves(monkeypatch: pytest.MonkeyPatch) -> list[Mapped]:
    found: list[Mapped] = []

    class Noted(Mapped):
        def __init__(self, columns: Mapping[str, Column], folder: Path) -> None:
            super().__init__(columns, folder)
            found.append(self)

    monkeypatch.setattr(merging, "Mapped", Noted)
    return found


def test_a_segment_in_blocks_is_not_written_anew_and_one_in_disorder_is(tmp_path: Path) -> None:
    rows = [PLAIN | {"tid": tid, "event_index": tid} for tid in range(30)]
    coins = ["A", "B"]
    blocks = [
        row | {"coin": coin} for begin in (0, 15) for coin in coins for row in rows[begin:][:15]
    ]
    disorder = [row | {"coin": coins[place % 2]} for place, row in enumerate(rows)]
    files = written(tmp_path, [blocks, disorder], 4)
    assert listed(by_merging(files, tmp_path, Limits())) == listed(by_sql(files))
    assert [file.name for file in tmp_path.glob("clustered*")] == ["clustered-1.parquet"]
