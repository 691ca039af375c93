"""Pieces of decoded row groups, copied into the columns of one batch of fills.

The loops take slices and count from 0 in them: so the compiler knows that no index is negative, and
copies many bytes at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.fills.columns import DECIMAL, FILLS, REPEATED_TEXT, SOURCES, TEXT, Flags, Numbers
from ticklake.fills.decimals import Words
from ticklake.fills.rooms import Rooms
from ticklake.fills.row_groups import Bytes, Column, Decimals, Indices, Repeated, Text, Values
from ticklake.fills.segments import Rows
from ticklake.microstructure.compiled import compiled

MOST_TEXT: Final = (1 << 31) - 1
"""Bytes that the offsets of Arrow's text can count."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """The pieces of one row group that belong to a batch.

    Rows from `begins` to `ends` of the row group go to `places` of the batch.
    """

    columns: Mapping[str, Column]
    begins: Rows
    ends: Rows
    places: Rows


def batch_of(parts: Sequence[Part], count: int, rooms: Rooms) -> pa.RecordBatch:
    """Return the fills of some pieces, which fill `count` rows.

    Raises ValueError where a column has more text than a batch can hold.
    """
    return pa.record_batch(
        [_column(parts, count, item.name, item.type, rooms) for item in FILLS], schema=FILLS
    )


def _column(
    parts: Sequence[Part], count: int, name: str, kind: pa.DataType, rooms: Rooms
) -> pa.Array:
    if all(part.columns[name] is None for part in parts):
        return pa.nulls(count, kind)
    if kind == REPEATED_TEXT:
        return _repeated(parts, count, name, rooms)
    are_known = _known(parts, count, name)
    if kind == TEXT:
        buffers = _text(parts, count, name, rooms)
    elif kind == DECIMAL:
        buffers = [_decimals(parts, count, name, rooms)]
    elif pa.types.is_boolean(kind):
        flags = _values(parts, name, np.empty(count, np.int8))
        buffers = [np.packbits(flags, bitorder="little")]
    else:
        buffers = [_values(parts, name, rooms.empty(count, np.dtype(f"i{kind.bit_width // 8}")))]
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
            _fill(part.begins, part.ends, part.places, True, out)
    return out


def _are_known(column: Column) -> Flags | None:
    assert isinstance(column, Values | Decimals | Text)
    return column.are_known


def _values(parts: Sequence[Part], name: str, out: Numbers) -> Numbers:
    for part in parts:
        column = part.columns[name]
        if isinstance(column, Values):
            _copy(column.values.view(out.dtype), part.begins, part.ends, part.places, out)
        else:
            _fill(part.begins, part.ends, part.places, 0, out)
    return out


def _decimals(parts: Sequence[Part], count: int, name: str, rooms: Rooms) -> Words:
    flat = rooms.empty(2 * count, np.dtype(np.uint64))
    for part in parts:
        column = part.columns[name]
        if not isinstance(column, Decimals):
            _fill(2 * part.begins, 2 * part.ends, 2 * part.places, 0, flat)
        elif column.indices is None:
            words = column.words.reshape(-1)
            _copy(words, 2 * part.begins, 2 * part.ends, 2 * part.places, flat)
        else:
            out = flat.reshape(-1, 2)
            _look_up(column.words, column.indices, part.begins, part.ends, part.places, out)
    return flat


def _text(parts: Sequence[Part], count: int, name: str, rooms: Rooms) -> list[Numbers]:
    sizes = np.zeros(count + 1, np.int32)
    for part in parts:
        column = part.columns[name]
        if isinstance(column, Text):
            _sizes(column.offsets, part.begins, part.ends, part.places, sizes)
    data = _room(int(sizes.sum(dtype=np.int64)), name, count, rooms)
    offsets = np.cumsum(sizes, out=rooms.empty(count + 1, np.dtype(np.int32)))
    for part in parts:
        column = part.columns[name]
        if isinstance(column, Text):
            _copy_text(
                column.data, column.offsets, part.begins, part.ends, part.places, offsets, data
            )
    return [offsets, data]


def _repeated(parts: Sequence[Part], count: int, name: str, rooms: Rooms) -> pa.DictionaryArray:
    """Number the texts in the order in which rows come to them, each once: as a file has them."""
    columns = [(part, part.columns[name]) for part in parts]
    there = [(part, column) for part, column in columns if isinstance(column, Repeated)]
    most = min(count, sum(len(column.offsets) - 1 for _, column in there))
    longest = max(column.longest for _, column in there)
    room = min(count * longest, sum(len(column.data) for _, column in there))
    offsets = rooms.empty(most + 1, np.dtype(np.int32))
    offsets[0] = 0
    data = _room(room, name, count, rooms)
    slots = rooms.empty(1 << (2 * most).bit_length(), np.dtype(np.int32))
    slots[:] = -1
    hashes = rooms.empty(len(slots), np.dtype(np.uint64))
    indices = rooms.empty(count, np.dtype(np.int32))
    if len(there) < len(parts):
        indices[:] = -1
    size = 0
    for part, column in there:
        size = _intern(
            column.data,
            column.offsets,
            column.indices,
            part.begins,
            part.ends,
            part.places,
            np.full(len(column.offsets) - 1, -1, np.int32),
            slots,
            hashes,
            data,
            offsets,
            size,
            indices,
        )
    texts = _array(TEXT, size, None, offsets[: size + 1], data)
    order = np.empty(size, np.int32)
    if _renumber(indices, np.full(size, -1, np.int32), order):
        texts = texts.take(pa.array(order))
    are_known = indices >= 0
    known_or_all = None if are_known.all() else are_known
    numbers = _array(pa.int32(), count, known_or_all, indices)
    return pa.DictionaryArray.from_arrays(numbers, texts, safe=False)


def _room(size: int, name: str, count: int, rooms: Rooms) -> Bytes:
    """Return memory for the text of a column."""
    if size > MOST_TEXT:
        raise ValueError(
            f"{SOURCES[name]}: a batch of {count:,} fills needs room for {size:,} bytes of text, "
            f"and there is room for {MOST_TEXT:,}. Correct the segments that have text of that "
            "size, or move them away."
        )
    return rooms.empty(size, np.dtype(np.uint8))


@compiled
def _copy(values: Numbers, begins: Rows, ends: Rows, places: Rows, out: Numbers) -> None:
    for piece in range(len(begins)):
        source, target = values[begins[piece] : ends[piece]], out[places[piece] :]
        for step in range(len(source)):
            target[step] = source[step]


@compiled
def _fill(begins: Rows, ends: Rows, places: Rows, value: int, out: Numbers) -> None:
    for piece in range(len(begins)):
        out[places[piece] : places[piece] + ends[piece] - begins[piece]] = value


@compiled
def _look_up(
    words: Words, indices: Indices, begins: Rows, ends: Rows, places: Rows, out: Words
) -> None:
    for piece in range(len(begins)):
        source, target = indices[begins[piece] : ends[piece]], out[places[piece] :]
        for step in range(len(source)):
            index = np.uint32(source[step])
            target[step, 0] = words[index, 0]
            target[step, 1] = words[index, 1]


@compiled
def _sizes(offsets: Indices, begins: Rows, ends: Rows, places: Rows, sizes: Indices) -> None:
    """Write the size of each text behind its place."""
    for piece in range(len(begins)):
        source, target = offsets[begins[piece] : ends[piece] + 1], sizes[places[piece] + 1 :]
        for step in range(len(source) - 1):
            target[step] = source[step + 1] - source[step]


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
        source = data[offsets[begins[piece]] : offsets[ends[piece]]]
        target = out[out_offsets[places[piece]] :]
        for step in range(len(source)):
            target[step] = source[step]


@compiled
def _hash(text: Bytes) -> np.uint64:
    value = np.uint64(0x9E3779B97F4A7C15)
    words = len(text) // 8
    for number in range(words):
        part = text[8 * number : 8 * number + 8]
        word = np.uint64(0)
        for step in range(8):
            word |= np.uint64(part[step]) << np.uint64(8 * step)
        value = (value ^ word) * np.uint64(0xFF51AFD7ED558CCD)
        value ^= value >> np.uint64(32)
    for byte in text[8 * words :]:
        value = (value ^ np.uint64(byte)) * np.uint64(0x100000001B3)
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
        source, target = indices[begins[piece] : ends[piece]], out_indices[places[piece] :]
        for step in range(len(source)):
            index = source[step]
            number = np.int32(-1) if index < 0 else numbered[index]
            if index >= 0 and number < 0:
                text = data[offsets[index] : offsets[index + 1]]
                hashed = _hash(text)
                slot = hashed & mask
                while True:
                    number = slots[slot]
                    if number < 0:
                        number = np.int32(size)
                        size += 1
                        slots[slot], hashes[slot] = number, hashed
                        begin = out_offsets[number]
                        out_offsets[number + 1] = begin + len(text)
                        copy = out[begin : begin + len(text)]
                        for place in range(len(text)):
                            copy[place] = text[place]
                        break
                    if hashes[slot] == hashed:
                        other = out[out_offsets[number] : out_offsets[number + 1]]
                        if _are_equal(text, other):
                            break
                    slot = (slot + np.uint64(1)) & mask
                numbered[index] = number
            target[step] = number
    return size


@compiled
def _renumber(indices: Indices, renumbered: Indices, order: Indices) -> bool:
    """Number texts anew, in the order of rows; say whether that is another `order`."""
    size = np.int32(0)
    is_other = False
    for row in range(len(indices)):
        index = indices[row]
        if index < 0:
            continue
        number = renumbered[index]
        if number < 0:
            number = size
            renumbered[index], order[number] = number, index
            is_other |= number != index
            size += np.int32(1)
        indices[row] = number
    return is_other


@compiled
def _are_equal(some: Bytes, other: Bytes) -> bool:
    if len(some) != len(other):
        return False
    differences = np.uint8(0)
    for place in range(len(some)):
        differences |= some[place] ^ other[place]
    return bool(differences == 0)
