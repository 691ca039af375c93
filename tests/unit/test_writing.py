"""Writing rows that come in order: the order is checked, and the bytes depend on the rows alone."""

import hashlib
import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.integration.pipeline import MODELS, run_model, specified
from ticklake.lake import writing
from ticklake.lake.writing import ROW_GROUP, write_in_order, write_sorted

STAMP = pa.timestamp("us", tz="UTC")


def rows_of(numbers: Sequence[int]) -> pa.Table:
    """Rows with a column of each kind that tables of features have, and a wide one."""
    return pa.table(
        {
            "row_seq": pa.array(numbers, pa.int64()),
            "ts": pa.array(numbers, STAMP),
            "value": pa.array([None if n % 7 == 0 else n / 3 for n in numbers], pa.float64()),
            "size": pa.array([n * n * 48_271 % 65_537 % 200 / 100 for n in numbers], pa.float64()),
            "depth": pa.array([(n // 3 * 48_271 % 65_537) ** 0.5 for n in numbers], pa.float64()),
            "levels": pa.array([None if n % 3 == 0 else n % 11 for n in numbers], pa.int32()),
            "state": pa.array([None if n % 5 == 0 else "ok" for n in numbers], pa.string()),
            "is_gap": pa.array([n % 2 == 0 for n in numbers], pa.bool_()),
            "text": pa.array([f"{n:064}" for n in numbers], pa.string()),
        }
    )


def written(table: pa.Table, file: Path, batch_rows: int | None = None) -> int:
    """Write a table that reaches the writer in batches of some size."""
    batches = table.to_batches(max_chunksize=batch_rows)
    staged = write_in_order(table.schema, batches, ["row_seq"], file)
    assert staged.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    return staged.row_count


def test_rows_come_back_as_they_were_in_row_groups_of_one_size(tmp_path: Path) -> None:
    table = rows_of(range(1, 2 * ROW_GROUP + 10))
    assert written(table, tmp_path / "file") == table.num_rows
    metadata = pq.read_metadata(tmp_path / "file")
    sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert sizes == [ROW_GROUP, ROW_GROUP, 9]
    assert pq.read_table(tmp_path / "file").equals(table)


@pytest.mark.parametrize("row_group", [60_000, 25_000, 4_000, 7])
def test_the_bytes_do_not_depend_on_the_batches(
    row_group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = rows_of(range(1, 300 if row_group == 7 else 60_000))
    monkeypatch.setattr(writing, "ROW_GROUP", row_group)
    written(table, tmp_path / "one")
    for batch_rows in (2_048, 1_000, 7_777):
        assert written(table, tmp_path / "file", batch_rows) == table.num_rows
        assert (tmp_path / "file").read_bytes() == (tmp_path / "one").read_bytes()


def test_columns_are_encoded_by_type_and_doubles_by_name(tmp_path: Path) -> None:
    table = rows_of(range(1, ROW_GROUP + 10)).rename_columns(
        {"size": "bid_size_3", "value": "imbalance_l2"}
    )
    written(table, tmp_path / "file")
    groups = [pq.read_metadata(tmp_path / "file").row_group(at) for at in range(2)]
    chunks = [group.column(at) for group in groups for at in range(group.num_columns)]
    found = {chunk.path_in_schema: set(chunk.encodings) - {"RLE"} for chunk in chunks}
    assert found == {
        "row_seq": {"DELTA_BINARY_PACKED"}, "ts": {"DELTA_BINARY_PACKED"},
        "imbalance_l2": {"BYTE_STREAM_SPLIT"}, "bid_size_3": {"PLAIN", "RLE_DICTIONARY"},
        "depth": {"PLAIN"}, "levels": {"DELTA_BINARY_PACKED"},
        "state": {"PLAIN", "RLE_DICTIONARY"}, "is_gap": {"PLAIN"},
        "text": {"PLAIN", "RLE_DICTIONARY"},
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([None, "a", "b", "c", "a text"]), min_size=1, max_size=60),
    st.lists(st.sampled_from([None, "b", "unused", "c", "a", "a text"]), unique=True),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_text_as_dictionaries_has_the_same_bytes_whatever_they_are(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str | None],
    known: list[str | None],
    batch_rows: int,
    row_group: int,
) -> None:
    """Of all texts and more in another order, or of those of a batch in their own."""
    folder = tmp_path_factory.mktemp("written")
    plain = pa.table({"row_seq": range(len(texts)), "text": pa.array(texts, pa.string())})
    shared = pa.array([*known, *texts], pa.string()).dictionary_encode()[len(known) :]
    found = {
        write_as_dictionaries(plain, row_group, row_group, folder),
        write_as_dictionaries(plain, batch_rows, row_group, folder),
        write_as_dictionaries(plain.set_column(1, "text", shared), batch_rows, row_group, folder),
    }
    assert len(found) == 1
    assert pq.read_table(folder / "file").equals(plain)


def write_as_dictionaries(table: pa.Table, batch_rows: int, row_group: int, folder: Path) -> str:
    """Write a table with text as dictionaries, by default one for each batch; return the hash."""
    batches = []
    for batch in table.to_batches(max_chunksize=batch_rows):
        text = batch["text"]
        encoded = text if pa.types.is_dictionary(text.type) else text.dictionary_encode()
        batches.append(pa.record_batch([batch["row_seq"], encoded], ["row_seq", "text"]))
    schema = pa.schema([("row_seq", pa.int64()), ("text", pa.string())])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "ROW_GROUP", row_group)
        return write_in_order(schema, batches, ["row_seq"], folder / "file").sha256


def test_pages_of_dictionaries_end_at_the_same_rows_whatever_the_batches(tmp_path: Path) -> None:
    texts = [f"{at % 1_000:066}" for at in range(ROW_GROUP + 10)]
    table = pa.table({"row_seq": range(len(texts)), "text": texts})
    assert (
        write_as_dictionaries(table, ROW_GROUP, ROW_GROUP, tmp_path)
        == write_as_dictionaries(table, 50_000, ROW_GROUP, tmp_path)
        == write_as_dictionaries(table, 777, ROW_GROUP, tmp_path)
    )


def test_every_engine_reads_back_what_was_written(tmp_path: Path) -> None:
    table = rows_of(range(1, 2 * ROW_GROUP + 10))
    written(table, tmp_path / "file")
    assert pl.read_parquet(tmp_path / "file").equals(pl.DataFrame(table))
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        assert (
            connection.sql(f"from read_parquet('{tmp_path / 'file'}')")
            .to_arrow_table()
            .equals(table)
        )


def test_readers_can_skip_row_groups_by_the_text_that_rows_are_ordered_by(tmp_path: Path) -> None:
    rows = pa.table({"symbol": ["A", "B"], "number": [2, 1], "text": ["x", "y"]})
    write_in_order(rows.schema, rows.to_batches(), ["symbol", "number"], tmp_path / "file")
    group = pq.read_metadata(tmp_path / "file").row_group(0)
    found = [group.column(at).statistics for at in range(3)]
    assert [one and (one.min, one.max) for one in found] == [("A", "B"), (1, 2), None]


def test_readers_can_skip_row_groups_by_their_statistics(tmp_path: Path) -> None:
    written(rows_of(range(1, 2 * ROW_GROUP + 10)), tmp_path / "file")
    metadata = pq.read_metadata(tmp_path / "file")
    found = [metadata.row_group(at).column(0).statistics for at in range(3)]
    assert [(one.min, one.max, one.null_count) for one in found] == [
        (1, ROW_GROUP, 0), (ROW_GROUP + 1, 2 * ROW_GROUP, 0),
        (2 * ROW_GROUP + 1, 2 * ROW_GROUP + 9, 0),
    ]  # fmt: skip
    late = pq.read_table(tmp_path / "file", filters=[("row_seq", ">", 2 * ROW_GROUP)])
    assert late["row_seq"].to_pylist() == [2 * ROW_GROUP + at for at in range(1, 10)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-3, 60), min_size=1, max_size=40),
    st.integers(1, 9),
    st.integers(1, 9),
    st.booleans(),
)
def test_rows_that_do_not_rise_are_refused_wherever_they_are(
    tmp_path_factory: pytest.TempPathFactory,
    numbers: list[int],
    batch_rows: int,
    row_group: int,
    sort: bool,
) -> None:
    numbers = sorted(set(numbers)) if sort else numbers
    table = rows_of(numbers)
    file = tmp_path_factory.mktemp("written") / "file"
    falls = [(a, b) for a, b in itertools.pairwise(numbers) if b <= a]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "ROW_GROUP", row_group)
        if not falls:
            assert written(table, file, batch_rows) == len(numbers)
            assert pq.read_table(file)["row_seq"].to_pylist() == numbers
            return
        with pytest.raises(ValueError, match="do not come by row_seq") as refusal:
            written(table, file, batch_rows)
    assert f"after {falls[0][0]} comes {falls[0][1]}." in str(refusal.value)


def test_no_rows_make_a_file_with_all_columns(tmp_path: Path) -> None:
    table = rows_of([])
    assert written(table, tmp_path / "file") == 0
    assert pq.read_schema(tmp_path / "file").equals(table.schema)
    assert pq.read_table(tmp_path / "file").num_rows == 0


def test_readers_see_the_types_they_see_of_sorted_rows(tmp_path: Path) -> None:
    columns = """
        select 1::bigint as row_seq, date '2024-01-02' as date, 'x' as state, true as is_gap,
            2::integer as levels, 0.5::double as value, null::double as nothing,
            timestamptz '2024-01-02 00:00:00+00' as ts, 1.5::decimal(38, 12) as price"""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        rows = connection.sql(columns).to_arrow_reader(ROW_GROUP)
        write_in_order(rows.schema, rows, ["row_seq"], tmp_path / "in_order")
        write_sorted(connection, columns, ["row_seq"], tmp_path / "sorted")
        seen = [
            connection.execute(f"{what} from read_parquet('{tmp_path / file}')").fetchall()
            for what in ("describe select *", "select *")
            for file in ("in_order", "sorted")
        ]
    assert seen[0] == seen[1]
    assert seen[2] == seen[3]


@pytest.mark.parametrize(
    "wrong", [{"order_by": []}, {"order_by": ["value desc"]}, {"unit_by": ["exchange", "date"]}]
)
def test_a_model_that_keeps_order_has_columns_to_order_by_and_units_of_a_partition(
    wrong: dict[str, Any], tmp_path: Path
) -> None:
    config = {
        "partition_by": MODELS["steps"]["partition_by"], "order_by": ["value"],
        "keeps_order": True, **wrong,
    }  # fmt: skip
    specification = specified(str(tmp_path), "steps", MODELS["steps"]["columns"], [], config)
    with duckdb.connect() as connection:
        assert (
            "keeps_order needs unit_by to be partition_by"
            in run_model(connection, specification)["error"]
        )
