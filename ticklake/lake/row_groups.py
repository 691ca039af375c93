"""One Parquet file of columns that were encoded apart, and so side by side.

pyarrow encodes a file in one thread. But a column of a row group is a run of bytes that depends on
its values alone; only the footer says where it lies. So a few columns at a time are written as a
small file in memory, the runs are put one behind the other, and the places in the footer are moved.
The result is the file that one writer makes, byte for byte, which `tests/unit/test_writing.py`
holds it to.

A footer is a Thrift struct in the compact protocol, see `parquet.thrift` of parquet-format. The few
numbers that `_FOOTER` names are changed; everything else is copied as it is.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

import pyarrow as pa

MAGIC: Final = b"PAR1"
TAIL: Final = 8
"""Bytes behind a footer: its length, and MAGIC."""

BEHIND: Final = 8 << 20
"""Bytes that may wait in memory for the disk."""

FALSE, BYTE, I16, I64, DOUBLE, BINARY, LIST, SET, STRUCT = 2, 3, 4, 6, 7, 8, 9, 10, 12


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of a struct that is looked at, or the items of a list."""

    name: str = ""
    fields: "Mapping[int, _Field]" = field(default_factory=dict)


_ANY: Final = _Field()
_OFFSET: Final = _Field("offset")
_STRANGE: Final = _Field("strange")  # an offset of what lies behind the pages: not moved
_META: Final = {9: _OFFSET, 10: _OFFSET, 11: _OFFSET, 14: _STRANGE}
"""Where pages of data, of an index and of a dictionary begin; and a Bloom filter."""
_CHUNK: Final = {2: _OFFSET, 3: _Field(fields=_META), 4: _STRANGE, 6: _STRANGE}
"""4 and 6 are where page indexes begin."""
_GROUP: Final = {
    1: _Field("chunks", _CHUNK),
    2: _Field("size"),
    5: _Field("begin"),
    6: _Field("compressed"),
    7: _Field("ordinal"),
}
_FOOTER: Final = {3: _Field("rows"), 4: _Field("groups", _GROUP)}

Place = tuple[str, int, int]
"""The name of a field, and where its value begins and ends."""
Edit = tuple[int, int, bytes]
"""Where bytes begin and end, and what comes in their stead."""


@dataclass(slots=True)
class _Group:
    """A row group under way: where it begins in the file, and what footers say of its columns."""

    begin: int
    head: bytes = b""
    """The first of them."""
    row_count: int = 0
    chunks: list[bytes] = field(default_factory=list)
    chunk_count: int = 0
    totals: Counter[str] = field(default_factory=Counter)


class RowGroupFile:
    """A Parquet file that grows by some columns of a row group at a time.

    `empty` is a file of all columns that has no row.
    """

    def __init__(self, file: Path, empty: pa.Buffer) -> None:
        self._out = file.open("wb")
        self._sha256 = hashlib.sha256()
        self._length = self._on_disk = 0
        self._write(MAGIC)
        _, self._footer = _pages_and_footer(empty)
        self._row_count = 0
        self._groups: list[bytes] = []
        self._group = _Group(self._length)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        with self._out:
            if failed is None:
                self._finish()

    def add(self, encoded: pa.Buffer) -> None:
        """Append the next columns of a row group: a file of just these, with one row group."""
        pages, footer = _pages_and_footer(encoded)
        group, shift = self._group, self._length - len(MAGIC)
        edits: list[Edit] = []
        for name, begins, ends in _places(footer, _FOOTER):
            if name == "strange":
                raise ValueError("a row group with a page index or a Bloom filter cannot be moved")
            if name == "chunks":
                count, first = _list_head(footer, begins)
                group.chunks.append(_edited(footer, first, ends, edits))
                group.chunk_count += count
            elif name == "groups":
                group.head = group.head or footer[begins + 1 : ends]
            else:
                number = _varint(footer, begins)[0] >> 1  # zigzag of what is not negative
                if name == "offset" and number:  # 0 is no place
                    edits.append((begins, ends, _zigzag(number + shift)))
                elif name == "rows":
                    group.row_count = number
                elif name in ("size", "compressed"):
                    group.totals[name] += number
        self._write(pages)
        self._leave_memory()

    def end_group(self) -> None:
        """Say that all columns of a row group are there."""
        group = self._group
        self._row_count += group.row_count
        new = {
            "chunks": _list_of(group.chunk_count, group.chunks),
            "size": _zigzag(group.totals["size"]),
            "begin": _zigzag(group.begin),
            "compressed": _zigzag(group.totals["compressed"]),
            "ordinal": _zigzag(len(self._groups)),
        }
        self._groups.append(_renewed(group.head, _GROUP, new))
        self._group = _Group(self._length)

    @property
    def sha256(self) -> str:
        """The hash of the file, once it is finished."""
        return self._sha256.hexdigest()

    def _finish(self) -> None:
        new = {
            "rows": _zigzag(self._row_count),
            "groups": _list_of(len(self._groups), self._groups),
        }
        footer = _renewed(self._footer, _FOOTER, new)
        self._write(footer + len(footer).to_bytes(4, "little") + MAGIC)

    def _write(self, data: bytes | memoryview) -> None:
        self._length += self._out.write(data)
        self._sha256.update(data)

    def _leave_memory(self) -> None:
        """Put what was written on the disk now, and keep no copy in memory.

        Else publishing waits for the disk, for all of it at once, and the memory that a copy needs
        is taken from others and cleared, which costs as much as to write.
        """
        if self._length - self._on_disk < BEHIND:
            return
        self._on_disk = self._length
        self._out.flush()
        os.fsync(self._out.fileno())
        if hasattr(os, "posix_fadvise"):  # not on macOS
            os.posix_fadvise(self._out.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _pages_and_footer(file: pa.Buffer) -> tuple[memoryview, bytes]:
    whole = memoryview(file)
    end = len(whole) - TAIL
    start = end - int.from_bytes(whole[end : end + 4], "little")
    return whole[len(MAGIC) : start], bytes(whole[start:end])


def _places(struct: bytes, known: Mapping[int, _Field]) -> list[Place]:
    found: list[Place] = []
    _pass(struct, 0, STRUCT, known, found)
    return found


def _pass(
    data: bytes, place: int, kind: int, known: Mapping[int, _Field], found: list[Place]
) -> int:
    """Return where the value that begins at a place ends; note the known fields inside it."""
    if I16 <= kind <= I64:
        while data[place] > 127:
            place += 1
        return place + 1
    if kind == BINARY:
        size, place = _varint(data, place)
        return place + size
    if kind == STRUCT:
        return _pass_struct(data, place, known, found)
    if kind in (LIST, SET):
        kind = data[place] & 15
        count, place = _list_head(data, place)
        if kind <= BYTE:
            return place + count
        for _ in range(count):
            place = _pass(data, place, kind, known, found)
        return place
    if kind in (BYTE, DOUBLE):
        return place + (1 if kind == BYTE else 8)
    raise ValueError(f"a Parquet footer with a value of Thrift type {kind} at byte {place}")


def _pass_struct(data: bytes, place: int, known: Mapping[int, _Field], found: list[Place]) -> int:
    number = 0
    while head := data[place]:
        place += 1
        if head >> 4:
            number += head >> 4
        else:
            zigzag, place = _varint(data, place)
            number = zigzag >> 1
        one = known.get(number, _ANY)
        # The value of a boolean field is its type.
        ends = place if head & 15 <= FALSE else _pass(data, place, head & 15, one.fields, found)
        if one.name:
            found.append((one.name, place, ends))
        place = ends
    return place + 1


def _renewed(struct: bytes, known: Mapping[int, _Field], new: Mapping[str, bytes]) -> bytes:
    """Return a struct with new values of some fields."""
    places = _places(struct, known)
    edits = [(begins, ends, new[name]) for name, begins, ends in places if name in new]
    return _edited(struct, 0, len(struct), edits)


def _edited(data: bytes, start: int, end: int, edits: Sequence[Edit]) -> bytes:
    parts = []
    for begins, ends, new in edits:
        parts += [data[start:begins], new]
        start = ends
    return b"".join([*parts, data[start:end]])


def _list_head(data: bytes, place: int) -> tuple[int, int]:
    """Return how many items a list has, and where they begin."""
    count, place = data[place] >> 4, place + 1
    return _varint(data, place) if count == 15 else (count, place)


def _list_of(count: int, structs: Sequence[bytes]) -> bytes:
    """Return a list of so many structs, of which one or more come together."""
    head = bytes([count << 4 | STRUCT]) if count < 15 else b"\xfc" + _unsigned(count)
    return head + b"".join(structs)


def _varint(data: bytes, place: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[place]
        number |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128:
            return number, place


def _zigzag(number: int) -> bytes:
    return _unsigned(number << 1)


def _unsigned(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
