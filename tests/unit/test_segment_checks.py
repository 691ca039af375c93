"""What is wrong with a raw segment, told from real damaged files."""

import base64
import decimal
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ticklake.lake import segment_checks
from ticklake.lake.inputs import read_columns, read_segments
from ticklake.lake.segment_checks import FOOTER_GUESS, accepts, check_footer, check_pages
from ticklake.lake.specs import InputSpec
from ticklake.lake.storage import LocalStorage

PATH = "raw/t/exchange=x/date=2025-01-01/a.parquet"
ROWS = 3000
COLUMNS = {
    "name": "varchar",
    "value": "bigint",
    "price": "decimal(38, 12)",
    "ts": "timestamptz",
    "levels": "struct(price double, size double)[]",
}
ITEM = InputSpec(
    "t", "raw/t", ("exchange", "date"), {"exchange": "varchar", "date": "date", **COLUMNS}, True
)
DECLARED = pa.schema(
    [
        ("name", pa.string()),
        ("value", pa.int64()),
        ("price", pa.decimal128(38, 12)),
        ("ts", pa.timestamp("us", "UTC")),
        ("levels", pa.list_(pa.struct([("price", pa.float64()), ("size", pa.float64())]))),
    ]
)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(str(tmp_path))


def parquet(table: pa.Table, **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, **options)
    return file.getvalue()


def good() -> pa.Table:
    values = [(number * 2_654_435_761) % 1_000_003 for number in range(ROWS)]
    names = [f"name {value}" for value in values]
    return pa.table({"name": names, "value": pa.array(values, pa.int64())})


def footer_type(storage: LocalStorage, content: bytes) -> str | None:
    storage.write(PATH, content)
    problem = check_footer(storage, PATH, DECLARED)
    return problem.error_type if problem else None


def page_type(storage: LocalStorage, content: bytes) -> str | None:
    storage.write(PATH, content)
    problem = check_pages(storage, PATH, read_columns(ITEM, "$file"), list(COLUMNS))
    return problem.error_type if problem else None


def test_a_sound_segment_has_no_problem(storage: LocalStorage) -> None:
    content = parquet(good())
    assert footer_type(storage, content) is None
    assert page_type(storage, content) is None


@pytest.mark.parametrize(
    ("damage", "error_type"),
    [
        (lambda content: b"", "TRUNCATED"),
        (lambda content: content[:2], "TRUNCATED"),
        (lambda content: content[: len(content) // 2], "TRUNCATED"),
        (lambda content: content[:-1], "TRUNCATED"),
        (lambda content: b"not Parquet at all", "FOOTER_CORRUPT"),
        (lambda content: b"x" + content[1:-1], "FOOTER_CORRUPT"),
        (lambda content: content[:-8] + b"\xff\xff\xff\x7fPAR1", "FOOTER_CORRUPT"),
        (lambda content: content[:-100] + bytes(80) + content[-20:], "FOOTER_CORRUPT"),
    ],
)
def test_what_is_no_whole_file_is_told_from_its_end(
    storage: LocalStorage, damage: Callable[[bytes], bytes], error_type: str
) -> None:
    assert footer_type(storage, damage(parquet(good()))) == error_type


def test_a_footer_longer_than_the_first_look_is_read(storage: LocalStorage) -> None:
    content = parquet(good(), row_group_size=1)
    assert int.from_bytes(content[-8:-4], "little") > FOOTER_GUESS
    assert footer_type(storage, content) is None


def test_a_segment_that_only_pyarrow_cannot_read_is_told_as_well(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models in Python read with it, and one engine may refuse what the other takes for data."""
    content = bytearray(parquet(good(), compression="zstd", use_dictionary=False))
    start = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0).data_page_offset + 60
    content[start : start + 400] = b"\xff" * 400
    monkeypatch.setattr(segment_checks, "_failure", lambda *_: None)
    assert page_type(storage, bytes(content)) == "PAGE_CORRUPT"
    assert page_type(storage, parquet(good())) is None


@pytest.mark.parametrize("codec", ["snappy", "zstd", "gzip", "lz4", "brotli"])
def test_a_page_that_does_not_decompress_names_its_codec(storage: LocalStorage, codec: str) -> None:
    content = bytearray(parquet(good(), compression=codec, use_dictionary=False))
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0)
    start = chunk.data_page_offset + 60  # past the header, which is not compressed
    content[start : start + 400] = b"\xff" * 400
    assert footer_type(storage, bytes(content)) is None
    assert page_type(storage, bytes(content)) == f"{codec.upper()}_CORRUPT"


def test_a_page_that_is_not_compressed_and_does_not_decode_is_a_corrupt_page(
    storage: LocalStorage,
) -> None:
    content = bytearray(parquet(good(), compression="none", use_dictionary=False))
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0)
    content[chunk.data_page_offset : chunk.data_page_offset + 20] = b"\xff" * 20
    assert page_type(storage, bytes(content)) == "PAGE_CORRUPT"


@pytest.mark.parametrize("codec", ["snappy", "zstd", "none"])
def test_a_dictionary_page_that_is_gone_is_a_conflict_of_dictionaries(
    storage: LocalStorage, codec: str
) -> None:
    content = bytearray(parquet(good(), compression=codec))
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(0)
    start, end = chunk.dictionary_page_offset, chunk.data_page_offset
    content[start:end] = bytes(end - start)
    assert footer_type(storage, bytes(content)) is None
    assert page_type(storage, bytes(content)) == "DICT_CONFLICT"


def test_a_broken_column_that_nobody_declared_does_not_matter(storage: LocalStorage) -> None:
    table = good().append_column("other", good()["name"])
    content = bytearray(parquet(table, use_dictionary=False))
    chunk = pq.read_metadata(io.BytesIO(content)).row_group(0).column(2)
    start = chunk.data_page_offset
    content[start : start + 400] = bytes(400)
    assert page_type(storage, bytes(content)) is None


def test_missing_and_further_columns_are_fine(storage: LocalStorage) -> None:
    table = pa.table({"value": pa.array([1], pa.int64()), "unknown": ["x"], "date": ["not one"]})
    assert footer_type(storage, parquet(table)) is None


def test_a_segment_without_a_column_that_it_needs_is_a_mismatch(storage: LocalStorage) -> None:
    needed = pa.schema([field.with_nullable(field.name != "price") for field in DECLARED])
    storage.write(PATH, parquet(pa.table({"value": pa.array([1], pa.int64())})))
    problem = check_footer(storage, PATH, needed)
    assert problem is not None
    assert problem.error_type == "SCHEMA_MISMATCH"
    assert problem.message == "price: missing, and every segment needs it"


def test_a_file_with_none_of_the_columns_is_of_something_else(storage: LocalStorage) -> None:
    assert footer_type(storage, parquet(pa.table({"close": [1.5]}))) == "SCHEMA_MISMATCH"


def test_a_price_as_float_is_a_mismatch_that_names_both_types(storage: LocalStorage) -> None:
    storage.write(PATH, parquet(pa.table({"price": [0.1]})))
    problem = check_footer(storage, PATH, DECLARED)
    assert problem is not None
    assert problem.error_type == "SCHEMA_MISMATCH"
    assert problem.message == "price: double in the file, decimal128(38, 12) declared"


def test_a_dictionary_of_another_type_is_a_conflict(storage: LocalStorage) -> None:
    table = pa.table({"value": pa.array(["1", "2"]).dictionary_encode()})
    assert footer_type(storage, parquet(table)) == "DICT_CONFLICT"
    assert footer_type(storage, parquet(good().select(["name"]))) is None


def test_a_dictionary_that_the_arrow_schema_only_claims_is_a_conflict(
    storage: LocalStorage,
) -> None:
    claimed = pa.schema([("name", pa.dictionary(pa.int32(), pa.int64()))])
    metadata = {"ARROW:schema": base64.b64encode(claimed.serialize())}
    table = pa.table({"name": ["a", "b"]})
    file = io.BytesIO()
    with pq.ParquetWriter(file, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(metadata)
    assert footer_type(storage, file.getvalue()) == "DICT_CONFLICT"


LOSSLESS = [
    (pa.array([1, None], pa.int32()), "bigint"),
    (pa.array([1, None], pa.uint32()), "bigint"),
    (pa.array([1, None], pa.uint8()), "smallint"),
    (pa.array([1 << 40, None], pa.int64()), "decimal(38, 12)"),
    (pa.array([0.5, None], pa.float32()), "double"),
    (pa.array([7, None], pa.int32()), "double"),
    (pa.array([decimal.Decimal("1.25"), None], pa.decimal128(9, 2)), "decimal(38, 12)"),
    (pa.array([1_000, None], pa.timestamp("ms")), "timestamptz"),
    (pa.array([1_000_000, None], pa.timestamp("ns", "America/New_York")), "timestamptz"),
    (pa.array([1, None], pa.timestamp("us", "UTC")), "timestamp_ns"),
    (pa.array(["a", None]).dictionary_encode(), "varchar"),
    (pa.array(["a", None], pa.large_string()), "varchar"),
    (pa.array([None, None], pa.null()), "struct(price double, size double)[]"),
    (pa.array([[{"price": 1.5}], None]), "struct(price double, size double)[]"),
]
LOSSY = [
    (pa.array([1], pa.int64()), "integer"),
    (pa.array([1], pa.uint64()), "bigint"),
    (pa.array([1], pa.int64()), "double"),
    (pa.array([1], pa.int64()), "varchar"),
    (pa.array([0.5]), "bigint"),
    (pa.array([0.5]), "decimal(38, 12)"),
    (pa.array(["1"]), "decimal(38, 12)"),
    (pa.array([decimal.Decimal(1)], pa.decimal128(38, 18)), "decimal(38, 12)"),
    (pa.array([1], pa.int64()), "timestamptz"),
    (pa.array([b"a"]), "varchar"),
    (pa.array([[{"price": "1"}]]), "struct(price double, size double)[]"),
]


def declared(kind: str) -> pa.DataType:
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        return connection.sql(f"select cast(null as {kind})").to_arrow_table().schema[0].type


@pytest.mark.parametrize(("values", "kind"), LOSSLESS, ids=str)
def test_what_is_accepted_is_read_without_loss(tmp_path: Path, values: pa.Array, kind: str) -> None:
    assert accepts(declared(kind), values.type)
    pq.write_table(pa.table({"value": values}), tmp_path / "a.parquet")
    item = InputSpec("t", "raw/t", (), {"value": kind}, True)
    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    rows = "(" + read_segments(item, f"'{tmp_path}/a.parquet'") + ")"
    read = connection.sql(f"select value from {rows}").to_arrow_table()["value"]
    assert read.type == declared(kind)
    assert (
        connection.sql(f"select value::varchar from {rows}").fetchall()
        == connection.sql(
            f"select cast(value as {kind})::varchar from read_parquet('{tmp_path}/a.parquet')"
        ).fetchall()
    )
    assert read.null_count == values.null_count


def test_numbers_may_come_as_text_and_times_may_not(storage: LocalStorage) -> None:
    text = pa.array(["1.5"])
    assert footer_type(storage, parquet(pa.table({"price": text}))) is None
    assert footer_type(storage, parquet(pa.table({"price": text.dictionary_encode()}))) is None
    assert footer_type(storage, parquet(pa.table({"price": pa.array([1.5])}))) == "SCHEMA_MISMATCH"
    assert footer_type(storage, parquet(pa.table({"ts": text}))) == "SCHEMA_MISMATCH"


@pytest.mark.parametrize(("values", "kind"), LOSSY, ids=str)
def test_what_would_lose_something_is_refused(values: pa.Array, kind: str) -> None:
    assert not accepts(declared(kind), values.type)
