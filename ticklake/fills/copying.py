"""Pieces of decoded row groups, copied into the columns of one batch of fills."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.fills.columns import DECIMAL, FILLS, REPEATED_TEXT, TEXT, Flags, Numbers
from ticklake.fills.decimals import Words
from ticklake.fills.row_groups import Bytes, Column, Decimals, Indices, Repeated, Text, Values
from ticklake.fills.segments import Rows
from ticklake.microstructure.compiled import compiled


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The pieces of one row group that belong to a batch.

    Rows from `begins` to `ends` of the row group go to `places` of the batch.
    """

    columns: Mapping[str, Column]
    begins: Rows
    ends: Rows
    places: Rows


def batch_of(parts: Sequence[Part], count: int) -> pa.RecordBatch:
    """Return the fills of some pieces, which fill `count` rows."""
    return pa.record_batch(
        [_column(parts, count, item.name, item.type) for item in FILLS], schema=FILLS
    )


def _column(parts: Sequence[Part], count: int, name: str, kind: pa.DataType) -> pa.Array:
    if all(part.columns[name] is None for part in parts):
        return pa.nulls(count, kind)
    if kind == REPEATED_TEXT:
        return _repeated(parts, count, name)
    are_known = _known(parts, count, name)
    if kind == TEXT:
        buffers = _text(parts, count, name)
    elif kind == DECIMAL:
        buffers = [_decimals(parts, count, name)]
    elif pa.types.is_boolean(kind):
        buffers = [np.packbits(_values(parts, count, name, np.dtype("i1")), bitorder="little")]
    else:
        buffers = [_values(parts, count, name, np.dtype(f"i{kind.bit_width // 8}"))]
    return _array(kind, count, are_known, *buffers)


def _array(kind: pa.DataType, count: int, are_known: Flags | None, *buffers: Numbers) -> pa.Array:
    bits = None if are_known is None else pa.py_buffer(np.packbits(are_known, bitorder="little"))
    return pa.Array.from_buffers(kind, count, [bits, *map(pa.py_buffer, buffers)])


def _known(parts: Sequence[Part], count: int, name: str) -> Flags | None:
    """Return which values are not null, or None if all are there."""
    columns = [part.columns[name] for part in parts]
    if all(column is not None and _are_known(column) is None for column in columns):
        return None
    out = np.zeros(count, np.bool_)
    for part, column in zip(parts, columns, strict=True):
        if column is not None and (are_known := _are_known(column)) is not None:
            _copy(are_known, part.begins, part.ends, part.places, out)
        elif column is not None:
            _fill(part.begins, part.ends, part.places, out)
    return out


def _are_known(column: Column) -> Flags | None:
    assert isinstance(column, Values | Decimals | Text)
    return column.are_known


def _values(parts: Sequence[Part], count: int, name: str, kind: np.dtype[np.generic]) -> Numbers:
    out = np.zeros(count, kind)
    for part in parts:
        column = part.columns[name]
        if isinstance(column, Values):
            _copy(column.values.view(kind), part.begins, part.ends, part.places, out)
    return out


def _decimals(parts: Sequence[Part], count: int, name: str) -> Words:
    out = np.zeros((count, 2), np.uint64)
    for part in parts:
        column = part.columns[name]
        if not isinstance(column, Decimals):
            continue
        if column.indices is None:
            _copy_words(column.words, part.begins, part.ends, part.places, out)
        else:
            _look_up_words(column.words, column.indices, part.begins, part.ends, part.places, out)
    return out


def _text(parts: Sequence[Part], count: int, name: str) -> list[Numbers]:
    sizes = np.zeros(count + 1, np.int32)
    for part in parts:
        column = part.columns[name]
        if isinstance(column, Text):
            _sizes(column.offsets, part.begins, part.ends, part.places, sizes)
    offsets = np.cumsum(sizes, dtype=np.int32)
    data = np.empty(offsets[-1], np.uint8)
    for part in parts:
        column = part.columns[name]
        if isinstance(column, Text):
            _copy_text(
                column.data, column.offsets, part.begins, part.ends, part.places, offsets, data
            )
    return [offsets, data]


def _repeated(parts: Sequence[Part], count: int, name: str) -> pa.DictionaryArray:
    """Number the texts in the order in which they are met, each once."""
    columns = [(part, part.columns[name]) for part in parts]
    there = [(part, column) for part, column in columns if isinstance(column, Repeated)]
    most = min(count, sum(len(column.offsets) - 1 for _, column in there))
    longest = max(column.longest for _, column in there)
    room = min(count * longest, sum(len(column.data) for _, column in there))
    offsets, data = np.zeros(most + 1, np.int32), np.empty(room, np.uint8)
    slots = np.full(1 << (2 * most).bit_length(), -1, np.int32)
    hashes = np.empty(len(slots), np.uint64)
    indices = np.full(count, -1, np.int32)
    size = 0
    for part, column in there:
        numbered = np.full(len(column.offsets) - 1, -1, np.int32)
        size = _intern(
            column.data,
            column.offsets,
            column.indices,
            part.begins,
            part.ends,
            part.places,
            numbered,
            slots,
            hashes,
            data,
            offsets,
            size,
            indices,
        )
    are_known = indices >= 0
    known_or_all = None if are_known.all() else are_known
    return pa.DictionaryArray.from_arrays(
        _array(pa.int32(), count, known_or_all, indices),
        _array(TEXT, size, None, offsets[: size + 1], data),
        safe=False,
    )


@compiled
def _copy(values: Numbers, begins: Rows, ends: Rows, places: Rows, out: Numbers) -> None:
    for piece in range(len(begins)):
        begin, place = begins[piece], places[piece]
        for step in range(ends[piece] - begin):
            out[place + step] = values[begin + step]


@compiled
def _fill(begins: Rows, ends: Rows, places: Rows, out: Flags) -> None:
    for piece in range(len(begins)):
        for step in range(ends[piece] - begins[piece]):
            out[places[piece] + step] = True


@compiled
def _copy_words(words: Words, begins: Rows, ends: Rows, places: Rows, out: Words) -> None:
    for piece in range(len(begins)):
        begin, place = begins[piece], places[piece]
        for step in range(ends[piece] - begin):
            out[place + step, 0] = words[begin + step, 0]
            out[place + step, 1] = words[begin + step, 1]


@compiled
def _look_up_words(
    words: Words, indices: Indices, begins: Rows, ends: Rows, places: Rows, out: Words
) -> None:
    for piece in range(len(begins)):
        begin, place = begins[piece], places[piece]
        for step in range(ends[piece] - begin):
            index = indices[begin + step]
            out[place + step, 0] = words[index, 0]
            out[place + step, 1] = words[index, 1]


@compiled
def _sizes(offsets: Indices, begins: Rows, ends: Rows, places: Rows, sizes: Indices) -> None:
    """Write the size of each text behind its place."""
    for piece in range(len(begins)):
        place = places[piece] + 1
        for row in range(begins[piece], ends[piece]):
            sizes[place + row - begins[piece]] = offsets[row + 1] - offsets[row]


@compiled
def _copy_text(
    data: Bytes,
    offsets: Indices,
    begins: Rows,
    ends: Rows,
    places: Rows,
    out_offsets: Indices,
    out: Bytes,
) -> None:
    for piece in range(len(begins)):
        begin = offsets[begins[piece]]
        place = out_offsets[places[piece]]
        for step in range(offsets[ends[piece]] - begin):
            out[place + step] = data[begin + step]


@compiled
def _hash(data: Bytes, begin: int, end: int) -> np.uint64:
    value = np.uint64(0x9E3779B97F4A7C15)
    place = begin
    while place + 8 <= end:
        word = np.uint64(0)
        for step in range(8):
            word |= np.uint64(data[place + step]) << np.uint64(8 * step)
        value = (value ^ word) * np.uint64(0xFF51AFD7ED558CCD)
        value ^= value >> np.uint64(32)
        place += 8
    while place < end:
        value = (value ^ np.uint64(data[place])) * np.uint64(0x100000001B3)
        place += 1
    return value ^ (value >> np.uint64(29))


@compiled
def _intern(
    data: Bytes,
    offsets: Indices,
    indices: Indices,
    begins: Rows,
    ends: Rows,
    places: Rows,
    numbered: Indices,
    slots: Indices,
    hashes: npt.NDArray[np.uint64],
    out: Bytes,
    out_offsets: Indices,
    size: int,
    out_indices: Indices,
) -> int:
    """Write the numbers of texts in the dictionary of the batch; return how many that has then.

    `numbered` remembers the number of each text of the row group, `slots` is a hash table of
    numbers with open addressing.
    """
    mask = np.uint64(len(slots) - 1)
    for piece in range(len(begins)):
        shift = places[piece] - begins[piece]
        for row in range(begins[piece], ends[piece]):
            index = indices[row]
            if index < 0:
                continue
            number = numbered[index]
            if number < 0:
                begin, length = offsets[index], offsets[index + 1] - offsets[index]
                hashed = _hash(data, begin, begin + length)
                slot = hashed & mask
                while True:
                    number = slots[slot]
                    if number < 0:
                        number = size
                        slots[slot] = number
                        hashes[slot] = hashed
                        at = out_offsets[number]
                        for step in range(length):
                            out[at + step] = data[begin + step]
                        out_offsets[number + 1] = at + length
                        size += 1
                        break
                    at = out_offsets[number]
                    is_same = hashes[slot] == hashed and out_offsets[number + 1] - at == length
                    if is_same:
                        for step in range(length):
                            if out[at + step] != data[begin + step]:
                                is_same = False
                                break
                    if is_same:
                        break
                    slot = (slot + np.uint64(1)) & mask
                numbered[index] = number
            out_indices[row + shift] = number
    return size
