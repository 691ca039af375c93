"""Leaving erased rows out of Parquet files and out of rejected lines.

Rows *of* an erased wallet, or of an erased symbol, are removed. Rows of others that only mention
the wallet (who was liquidated, the builder, a field in `extra`) stay, and the mention is emptied:
what a wallet did with others is also theirs.

A file is filtered row group by row group, and is written as it was: a function of the file and of
what is erased. Erasing twice gives the bytes of erasing both at once, and landing uses the same
function, so a lake that was landed after an erasure equals one that was erased.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ticklake.lake.erasures import Erasures, address_hash
from ticklake.lake.paths import path_values
from ticklake.lake.raw import StagedSegment

_ADDRESS: Final = rb"0[xX][0-9a-fA-F]{1,40}(?![0-9a-fA-F])"
"""40 digits, or fewer in made-up data. What has more is another number: the hash of a transaction.
"""
_MENTION: Final = re.compile(_ADDRESS)
_JSON_MENTION: Final = re.compile(rb'"(' + _ADDRESS + rb')"(?!\s*:)')
_MAY_HAVE_ONE: Final = "0[xX][0-9a-fA-F]"
_REPLACED: Final = b"erased"

_USER: Final = "user"
_SYMBOLS: Final = ("symbol", "coin")
_CALLED: Final = (*_SYMBOLS, "s", "pair", "instrument", "instrument_name", "market", "ticker")
"""Fields of a rejected row that name its symbol, in what exchanges send."""
"""Columns of the symbol, if a channel is not partitioned by it."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file has of what is erased."""

    rows: int = 0
    """Rows that are removed."""
    mentions: int = 0
    """Rows of others that lose a mention of a wallet."""

    def __bool__(self) -> bool:
        return bool(self.rows or self.mentions)

    def __add__(self, other: "Found") -> "Found":
        return Found(self.rows + other.rows, self.mentions + other.mentions)


def may_hold(path: str, erasures: Erasures) -> bool:
    """Say whether a segment has to be opened: its path may tell that no erased symbol is in it."""
    values = path_values(path)
    if erasures.users or "symbol" not in values:
        return bool(erasures)
    return _is_erased_whole(path, erasures)


def look(file: Path, path: str, erasures: Erasures) -> Found:
    """Count what a Parquet file has of what is erased; `path` is where it is in the lake.

    Memory is bounded by a row group. Raises ArrowException or OSError for a file that cannot be
    read.
    """
    with pq.ParquetFile(file) as parquet:
        if _is_erased_whole(path, erasures):
            return Found(parquet.metadata.num_rows)
        names = _worth_reading(parquet.schema_arrow, path, erasures)
        found = Found()
        for group in range(parquet.num_row_groups if names else 0):
            table = parquet.read_row_group(group, names)
            _, part = _without(table, path, erasures)
            found += part
        return found


def write_without(file: Path, target: Path, path: str, erasures: Erasures) -> int:
    """Write a Parquet file without what is erased. Returns its rows; no file if there are none."""
    rows = 0
    with pq.ParquetFile(file) as parquet:
        if _is_erased_whole(path, erasures):
            return 0
        writer = None
        for group in range(parquet.num_row_groups):
            table, _ = _without(parquet.read_row_group(group), path, erasures)
            if not table.num_rows:
                continue
            writer = writer or _writer_like(parquet, target)
            writer.write_table(table, row_group_size=table.num_rows)
            rows += table.num_rows
        if writer is not None:
            writer.close()
    return rows


def without_erased(
    staged: Sequence[StagedSegment], erasures: Erasures
) -> tuple[list[StagedSegment], int]:
    """Filter segments that are about to be published; return them and how many rows were erased."""
    if not erasures:
        return [*staged], 0
    left, erased = [], 0
    for item in staged:
        path = f"{item.folder}/{item.file.name}"
        found = look(item.file, path, erasures)
        erased += found.rows
        if not found:
            left.append(item)
            continue
        target = item.file.with_suffix(".left")
        rows = write_without(item.file, target, path, erasures)
        item.file.unlink()
        if rows:
            target.rename(item.file)
            left.append(staged_segment(item.folder, item.file, rows))
    return left, erased


def staged_segment(folder: str, file: Path, rows: int) -> StagedSegment:
    """Describe a finished file that becomes a segment of a folder."""
    with file.open("rb") as data:
        sha256 = hashlib.file_digest(data, "sha256").hexdigest()
    return StagedSegment(folder, file, rows, file.stat().st_size, sha256)


def rejects_without_erased(file: Path, erasures: Erasures) -> None:
    """Rewrite a local file of rejected lines, see `reject_without_erased`."""
    if not erasures:
        return
    left = file.with_suffix(".left")
    with file.open("rb") as lines, left.open("wb") as kept:
        kept.writelines(reject_without_erased(line, erasures) for line in lines)
    left.replace(file)


def reject_without_erased(line: bytes, erasures: Erasures) -> bytes:
    """Return a line of `rejected.jsonl`, without its content if that mentions what is erased.

    The line stays, so that there are as many as the ledger says.
    """
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        return line if not _mentions(line, erasures) else b'{"message":"erased"}\n'
    text = line
    if isinstance(entry.get("base64"), str):
        text += base64.b64decode(entry["base64"])
    if not _mentions(text, erasures) and not _names_symbol(entry, erasures):
        return line
    left = {name: entry[name] for name in ("line", "offset", "error_type") if name in entry}
    return json.dumps(left | {"message": "erased"}, separators=(",", ":")).encode() + b"\n"


def _is_erased_whole(path: str, erasures: Erasures) -> bool:
    values = path_values(path)
    return values.get("symbol") in erasures.symbols_of(values.get("exchange"))


def _worth_reading(schema: pa.Schema, path: str, erasures: Erasures) -> list[str]:
    """Return the columns that may tell an erased row, or mention a wallet."""
    symbols = _symbol_columns(schema, path)
    return [
        field.name
        for field in schema
        if (erasures.users and _has_text(field.type))
        or (erasures.symbols and field.name in symbols)
    ]


def _symbol_columns(schema: pa.Schema, path: str) -> list[str]:
    if "symbol" in path_values(path):
        return []
    return [name for name in schema.names if name.lower() in _SYMBOLS]


def _without(table: pa.Table, path: str, erasures: Erasures) -> tuple[pa.Table, Found]:
    """Return a row group without what is erased."""
    before = table.num_rows
    symbols = erasures.symbols_of(path_values(path).get("exchange"))
    for name in _symbol_columns(table.schema, path) if symbols else ():
        table = _without_rows(table, name, lambda text: text.decode(errors="replace") in symbols)
    for name in table.column_names if erasures.users else ():
        if name.lower() == _USER:
            table = _without_rows(table, name, lambda text: _mentions(text, erasures))
    is_mention = pa.nulls(table.num_rows, pa.bool_()).fill_null(False)
    for at, field in enumerate(table.schema if erasures.users else ()):
        column, mask = _emptied(_whole(table.column(at)), erasures)
        if mask is not None:
            if not field.nullable:  # an empty text, as there can be no null
                column = pc.fill_null(column, "")
            table = table.set_column(at, field, column)
            is_mention = pc.or_(is_mention, mask)
    return table, Found(before - table.num_rows, is_mention.true_count)


def _without_rows(table: pa.Table, name: str, is_erased: Callable[[bytes], bool]) -> pa.Table:
    column = _whole(table[name])
    if not _is_text(column.type) and not _is_text_dictionary(column.type):
        return table
    hits = _hits(column, is_erased)
    return table.filter(pc.invert(_is_any_of(column, hits))) if hits else table


def _emptied(array: pa.Array, erasures: Erasures) -> tuple[pa.Array, pa.Array | None]:
    """Return values without a mention of a wallet, and which of them had one, if any."""
    kind = array.type
    if _is_text(kind) or _is_text_dictionary(kind):
        hits = _hits(array, lambda text: _mentions(text, erasures), _MAY_HAVE_ONE)
        return (
            (_replaced(array, hits, erasures), _is_any_of(array, hits)) if hits else (array, None)
        )
    if pa.types.is_struct(kind):
        parts = [_emptied(pc.struct_field(array, [at]), erasures) for at in range(len(kind))]
        masks = [mask for _, mask in parts if mask is not None]
        if not masks:
            return array, None
        fields = [part for part, _ in parts]
        whole = pa.StructArray.from_arrays(fields, fields=list(kind), mask=array.is_null())
        return whole, _any(masks)
    if _has_text(kind) and _has_hit(array, erasures):
        before = array.to_pylist()
        after = [_emptied_item(item, erasures) for item in before]
        changed = [old != new for old, new in zip(before, after, strict=True)]
        return pa.array(after, kind), pa.array(changed)
    return array, None


def _has_hit(array: pa.Array, erasures: Erasures) -> bool:
    """Say whether any text in nested values mentions an erased wallet."""
    kind = array.type
    if _is_text(kind) or _is_text_dictionary(kind):
        return bool(_hits(array, lambda text: _mentions(text, erasures), _MAY_HAVE_ONE))
    if pa.types.is_struct(kind):
        return any(_has_hit(part, erasures) for part in array.flatten())
    if pa.types.is_map(kind):
        return _has_hit(array.keys, erasures) or _has_hit(array.items, erasures)
    return _has_text(kind) and _has_hit(array.flatten(), erasures)


def _emptied_item(item: Any, erasures: Erasures) -> Any:
    match item:
        case str() | bytes():
            text = item.encode() if isinstance(item, str) else item
            new = _emptied_text(text, erasures)
            return new if new is None or isinstance(item, bytes) else new.decode()
        case dict():
            return {name: _emptied_item(value, erasures) for name, value in item.items()}
        case list() | tuple():
            return type(item)(_emptied_item(value, erasures) for value in item)
        case _:
            return item


def _hits(array: pa.Array, is_hit: Callable[[bytes], bool], pattern: str = "") -> list[bytes]:
    """Return the distinct texts that are hits, of those that have a pattern in them."""
    texts = array.dictionary if pa.types.is_dictionary(array.type) else array
    distinct = _binary(texts).unique().drop_null()
    likely = distinct.filter(pc.match_substring_regex(distinct, pattern)) if pattern else distinct
    return [text for text in likely.to_pylist() if is_hit(text)]


def _replaced(array: pa.Array, hits: list[bytes], erasures: Erasures) -> pa.Array:
    new = {text: _emptied_text(text, erasures) for text in hits}
    encoded = _binary(_plain(array)).dictionary_encode()
    texts = [new.get(text, text) for text in encoded.dictionary.to_pylist()]
    kind = _plain(array[:0]).type
    plain = pa.array(texts, pa.binary()).take(encoded.indices).cast(kind)
    return plain.dictionary_encode().cast(array.type) if kind != array.type else plain


def _emptied_text(text: bytes, erasures: Erasures) -> bytes | None:
    """Return a text without erased addresses; None if it is nothing else. JSON stays JSON."""
    if _MENTION.fullmatch(text) and _is_erased(text, erasures):
        return None
    text = _JSON_MENTION.sub(
        lambda found: b"null" if _is_erased(found[1], erasures) else found[0], text
    )
    return _MENTION.sub(
        lambda found: _REPLACED if _is_erased(found[0], erasures) else found[0], text
    )


def _mentions(text: bytes, erasures: Erasures) -> bool:
    return any(_is_erased(found[0], erasures) for found in _MENTION.finditer(text))


def _is_erased(address: bytes, erasures: Erasures) -> bool:
    return address_hash(address.decode()) in erasures.users


def _names_symbol(entry: Any, erasures: Erasures) -> bool:
    """Say whether a rejected row says in a field of its own that it is of an erased symbol."""
    match entry:
        case dict():
            exchange = entry.get("exchange")
            symbols = {
                symbol
                for of, symbol in erasures.symbols
                if of is None or not isinstance(exchange, str) or of == exchange
            }
            names = (entry.get(name) for name in _CALLED)
            if any(isinstance(name, str) and name in symbols for name in names):
                return True
            return any(_names_symbol(item, erasures) for item in entry.values())
        case list():
            return any(_names_symbol(item, erasures) for item in entry)
        case _:
            return False


def _writer_like(parquet: pq.ParquetFile, target: Path) -> pq.ParquetWriter:
    """Return a writer that encodes columns as they are in a file."""
    groups = [parquet.metadata.row_group(at) for at in range(parquet.num_row_groups)]
    chunks = [group.column(at) for group in groups for at in range(group.num_columns)]
    dictionary = {
        chunk.path_in_schema
        for chunk in chunks
        if {"RLE_DICTIONARY", "PLAIN_DICTIONARY"} & set(chunk.encodings)
    }
    bounded = {chunk.path_in_schema for chunk in chunks if chunk.is_stats_set}
    return pq.ParquetWriter(
        target,
        parquet.schema_arrow,
        compression="zstd",
        compression_level=1,
        use_dictionary=sorted(dictionary) or False,
        write_statistics=sorted(bounded) or False,
        store_schema=b"ARROW:schema" in (parquet.metadata.metadata or {}),
    )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece."""
    if pa.types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _is_any_of(array: pa.Array, texts: list[bytes]) -> pa.Array:
    return pc.is_in(_binary(_plain(array)), value_set=pa.array(texts, pa.binary()))


def _any(masks: Sequence[pa.Array]) -> pa.Array:
    found = masks[0]
    for mask in masks[1:]:
        found = pc.or_(found, mask)
    return found


def _plain(array: pa.Array) -> pa.Array:
    is_encoded = pa.types.is_dictionary(array.type)
    return array.cast(array.type.value_type) if is_encoded else array


def _binary(array: pa.Array) -> pa.Array:
    return array.cast(pa.binary())


def _is_text(kind: pa.DataType) -> bool:
    return any(
        test(kind)
        for test in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_binary,
            pa.types.is_large_binary,
        )
    )


def _is_text_dictionary(kind: pa.DataType) -> bool:
    return pa.types.is_dictionary(kind) and _is_text(kind.value_type)


def _has_text(kind: pa.DataType) -> bool:
    """Say whether values of a type are text, or hold any."""
    if _is_text(kind) or _is_text_dictionary(kind):
        return True
    return any(_has_text(kind.field(at).type) for at in range(kind.num_fields))
