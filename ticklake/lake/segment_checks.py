"""Whether a raw segment can be used, and what is wrong with it where it cannot.

A look at the footer (0.1 ms and one read) says whether a file is whole and has the declared types;
that is done for every segment before it is used. Pages are decoded only when a query has failed.
"""

import base64
import io
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ticklake.lake.quarantine import Problem
from ticklake.lake.storage import Storage
from ticklake.lake.tables import READERS

MAGIC = b"PAR1"
FOOTER_GUESS = 128 << 10  # bytes from the end that hold almost every footer
DICTIONARY_PAGE = 2
INTEGER_DIGITS = {8: 3, 16: 5, 32: 10, 64: 19}
EXACT_BITS = {16: 11, 32: 24, 64: 53}
"""Bits of an integer that a float of so many bits holds exactly."""


def check_footers(
    storage: Storage, paths: Iterable[str], declared: pa.Schema
) -> dict[str, Problem]:
    """Return what is wrong with some segments, as far as their footers tell."""
    listed = list(paths)
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(lambda path: check_footer(storage, path, declared), listed)
        return {path: problem for path, problem in zip(listed, found, strict=True) if problem}


def check_footer(storage: Storage, path: str, declared: pa.Schema) -> Problem | None:
    """Return what is wrong with a segment, as far as its footer tells.

    `declared` has the columns of the source; a segment may lack some, and others do not matter.
    """
    try:
        end = storage.read_end(path, FOOTER_GUESS)
        if end[-4:] != MAGIC:
            return _without_end(storage, path, len(end))
        length = int.from_bytes(end[-8:-4], "little") + 8
        if length > len(end):
            end = storage.read_end(path, length)
    except FileNotFoundError:  # removed since the listing: the query will say so
        return None
    if length > len(end):
        return Problem("FOOTER_CORRUPT", f"the footer claims {length} bytes, of {len(end)} in all")
    try:
        metadata = pq.read_metadata(pa.BufferReader(end))
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, ValueError) as error:
        return Problem("FOOTER_CORRUPT", f"the footer cannot be read: {error}")
    return _compare(schema, _dictionaries(metadata.metadata), declared)


def check_pages(storage: Storage, path: str, rows: str, columns: Iterable[str]) -> Problem | None:
    """Decode a whole segment; return what is wrong with it.

    `rows` is SQL that reads `$file` as models do. From S3 the segment is brought here first, so
    that a network that fails is not taken for a segment that is broken. It is read with a DuckDB of
    its own: one that meets an error it did not expect answers no more.
    """
    with storage.staging() as folder:
        file = storage.local_file(path, folder)
        message = _failure(file, f"select bit_xor(hash(segment)) from {rows} as segment")
        if message is None:
            return _arrow_problem(file, columns)
        for column in columns:
            why = _failure(file, f'select bit_xor(hash("{column}")) from {rows}')
            if why is not None:
                return Problem(_fault(file, column, why), f"column {column}: {why}")
        return Problem(_named_in(message) or "PAGE_CORRUPT", message)


def _arrow_problem(file: Path, columns: Iterable[str]) -> Problem | None:
    """Return what is wrong with a segment that DuckDB can read and pyarrow cannot."""
    wanted = {name.lower() for name in columns}
    try:
        with pq.ParquetFile(file) as parquet:
            names = [name for name in parquet.schema_arrow.names if name.lower() in wanted]
            for batch in parquet.iter_batches(columns=names):
                batch.validate(full=True)
    except (OSError, pa.ArrowException) as error:
        return Problem("PAGE_CORRUPT", f"pyarrow cannot read it: {error}")
    return None


def accepts(declared: pa.DataType, found: pa.DataType) -> bool:
    """Say whether every value of a type can be read as a declared type without loss.

    Times of another unit are accepted, and are cut to the declared one; times without a zone are
    taken as UTC.
    """
    found = _plain(found)
    declared = _plain(declared)
    if found.equals(declared) or pa.types.is_null(found):
        return True
    if pa.types.is_list(declared):
        return pa.types.is_list(found) and accepts(declared.value_type, found.value_type)
    if pa.types.is_map(declared):
        return (
            pa.types.is_map(found)
            and accepts(declared.key_type, found.key_type)
            and accepts(declared.item_type, found.item_type)
        )
    if pa.types.is_struct(declared):
        return pa.types.is_struct(found) and _accepts_fields(declared, found)
    if pa.types.is_timestamp(declared):
        return bool(pa.types.is_timestamp(found))
    if pa.types.is_time(declared):
        return bool(pa.types.is_time(found))
    if pa.types.is_decimal(declared):
        return _fits_decimal(declared, found)
    if pa.types.is_integer(found):
        return _holds_integer(declared, found)
    if pa.types.is_floating(declared) and pa.types.is_floating(found):
        return bool(found.bit_width <= declared.bit_width)
    return False


def _accepts_fields(declared: pa.StructType, found: pa.StructType) -> bool:
    """Compare the fields of two structs by name, as DuckDB does: in any order, in any case.

    One that is not nullable must be there, and so must one at least.
    """
    by_name = {field.name.lower(): field.type for field in found}
    pairs = [(field, by_name.get(field.name.lower())) for field in declared]
    return any(kind is not None for _, kind in pairs) and all(
        field.nullable if kind is None else accepts(field.type, kind) for field, kind in pairs
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type without what only says how its values lie in memory."""
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if (
        pa.types.is_large_binary(kind)
        or pa.types.is_binary_view(kind)
        or pa.types.is_fixed_size_binary(kind)
    ):
        return pa.binary()
    if pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(kind.value_type)
    if pa.types.is_date(kind):
        return pa.date32()
    return kind


def _fits_decimal(declared: pa.DataType, found: pa.DataType) -> bool:
    if pa.types.is_integer(found):
        unsigned = pa.types.is_unsigned_integer(found) and found.bit_width == 64
        digits, scale = INTEGER_DIGITS[found.bit_width] + unsigned, 0
    elif pa.types.is_decimal(found):
        digits, scale = found.precision - found.scale, found.scale
    else:
        return False
    return bool(digits <= declared.precision - declared.scale and scale <= declared.scale)


def _holds_integer(declared: pa.DataType, found: pa.DataType) -> bool:
    unsigned = pa.types.is_unsigned_integer(found)
    bits = found.bit_width if unsigned else found.bit_width - 1
    if pa.types.is_floating(declared):
        return bool(bits <= EXACT_BITS[declared.bit_width])
    if pa.types.is_unsigned_integer(declared):
        return bool(unsigned and bits <= declared.bit_width)
    return bool(pa.types.is_signed_integer(declared) and bits <= declared.bit_width - 1)


def _without_end(storage: Storage, path: str, size: int) -> Problem:
    """Tell a file that was cut from one that never was Parquet."""
    if not size:
        return Problem("TRUNCATED", "the file is empty")
    with storage.open(path) as stream:
        head = stream.read(4)
    if head == MAGIC[: len(head)]:
        return Problem("TRUNCATED", "the file begins as Parquet and has no end: it was cut")
    return Problem("FOOTER_CORRUPT", f"no Parquet: the file begins with {head!r}")


def _compare(
    found: pa.Schema, dictionaries: Mapping[str, pa.DataType], declared: pa.Schema
) -> Problem | None:
    """Compare the columns that a source declares with those of a segment, by name.

    A segment may lack declared columns that are nullable.
    """
    by_name = {field.name.lower(): field for field in found}
    if not any(field.name.lower() in by_name for field in declared):
        return Problem("SCHEMA_MISMATCH", f"none of its columns is declared: {found.names}")
    wrong: list[str] = []
    conflicts: list[str] = []
    for field in declared:
        has = by_name.get(field.name.lower())
        if has is None:
            if not field.nullable:
                wrong.append(f"{field.name}: missing, and every segment needs it")
            continue
        values = dictionaries.get(has.name)
        if values is not None and not accepts(_plain(has.type), values):
            conflicts.append(
                f"{has.name}: a dictionary of {values} in the Arrow schema, {_plain(has.type)} in "
                "the file"
            )
        elif not (accepts(field.type, has.type) or _says_numbers(field.type, has.type)):
            is_dictionary = values is not None or pa.types.is_dictionary(has.type)
            text = f"{has.name}: {has.type} in the file, {field.type} declared"
            (conflicts if is_dictionary else wrong).append(text)
    if conflicts:
        return Problem("DICT_CONFLICT", "; ".join(conflicts + wrong))
    if not wrong:
        return None
    return Problem("SCHEMA_MISMATCH", "; ".join(wrong).replace(" not null", ""))


def _says_numbers(declared: pa.DataType, found: pa.DataType) -> bool:
    """Say whether a column has text in place of numbers, which is read as what it says."""
    return bool(declared == pa.decimal128(38, 12) and _plain(found) == pa.string())


def _dictionaries(metadata: Mapping[bytes, bytes] | None) -> dict[str, pa.DataType]:
    """Return the value types of the dictionary columns that the writer's Arrow schema claims."""
    claimed = (metadata or {}).get(b"ARROW:schema")
    if claimed is None:
        return {}
    try:
        schema = pa.ipc.read_schema(pa.BufferReader(base64.b64decode(claimed)))
    except (pa.ArrowException, OSError, ValueError):
        return {}  # readers go by the Parquet schema
    return {
        field.name: field.type.value_type for field in schema if pa.types.is_dictionary(field.type)
    }


def _failure(file: Path, query: str) -> str | None:
    """Return why a query on a local file fails, or None where it does not."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        try:
            connection.execute(query, {"file": str(file)}).fetchall()
        except (duckdb.OutOfMemoryException, duckdb.InterruptException):
            raise
        except duckdb.Error as error:
            return str(error).split("\n")[0].replace(str(file), file.name)
    return None


def _fault(file: Path, column: str, message: str) -> str:
    """Return the type of error of a column that cannot be decoded."""
    with duckdb.connect() as connection:
        try:
            chunks = connection.execute(
                """
                select compression, dictionary_page_offset, data_page_offset
                from parquet_metadata($file) where split_part(path_in_schema, ', ', 1) = $column
                """,
                {"file": str(file), "column": column},
            ).fetchall()
        except duckdb.Error:
            return "FOOTER_CORRUPT"
    named = _named_in(message)
    if named == "DICT_CONFLICT" or not all(_has_sound_dictionary(file, *each) for each in chunks):
        return "DICT_CONFLICT"
    codec = chunks[0][0] if chunks else "UNCOMPRESSED"
    if codec == "UNCOMPRESSED":
        return named or "PAGE_CORRUPT"
    return f"{codec.removesuffix('_RAW')}_CORRUPT"


def _has_sound_dictionary(file: Path, codec: str, start: int | None, end: int) -> bool:
    """Decompress the dictionary page of a column chunk, if it has one."""
    if start is None:
        return True
    with file.open("rb") as stream:
        stream.seek(start)
        page = stream.read(max(0, end - start))
    try:
        kind, size, stored = _page_header(io.BytesIO(page))
        if kind != DICTIONARY_PAGE or not 0 <= stored < len(page):
            return False
        if codec != "UNCOMPRESSED":
            pa.decompress(page[len(page) - stored :], size, codec.lower())
    except (pa.ArrowException, OSError, ValueError, IndexError):
        return False
    return True


def _page_header(stream: io.BytesIO) -> list[int]:
    """Return type, uncompressed and stored size: the first fields of a page header, in Thrift."""
    values = []
    for _ in range(3):
        if stream.read(1) != b"\x15":  # the next field, an i32
            raise ValueError("no page header")
        shift = number = 0
        while True:
            byte = stream.read(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        values.append((number >> 1) ^ -(number & 1))
    return values


def _named_in(message: str) -> str | None:
    """Return the type of error that a message names, if it does."""
    if "dictionary" in message.lower():
        return "DICT_CONFLICT"
    codec = re.search("snappy|zstd|gzip|lz4|brotli", message.lower())
    return f"{codec.group().upper()}_CORRUPT" if codec else None
