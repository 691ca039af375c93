"""A row group of raw fills, decoded: what the columns of fills are copied from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.fills.columns import (
    DECIMALS,
    RAW_TYPES,
    SIDES,
    SOURCES,
    Flags,
    Numbers,
    filled,
    known,
    numbers,
    texts,
)
from ticklake.fills.continued import Continued
from ticklake.fills.decimals import Words, exact_decimals
from ticklake.fills.segments import FIRST, NO_POSITION, Segment

Bytes = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int32]

_HIGHEST: Final = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """Numbers, times or flags."""

    values: Numbers
    are_known: Flags | None


@dataclass(frozen=True, slots=True, eq=False)
class Decimals:
    """Decimals in two words each, or a dictionary of them."""

    words: Words
    indices: Indices | None
    are_known: Flags | None


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """Text as Arrow has it: bytes, and the n + 1 places between values."""

    data: Bytes
    offsets: Indices
    are_known: Flags | None


@dataclass(frozen=True, slots=True, eq=False)
class Repeated:
    """Text as numbers in a dictionary, -1 for null."""

    data: Bytes
    offsets: Indices
    indices: Indices
    longest: int
    """Bytes of the longest text in the dictionary."""


Column = Values | Decimals | Text | Repeated | None
"""None is a column of nulls."""


def decoded(segment: Segment, group: int, continued: Continued) -> Mapping[str, Column]:
    """Read a row group of a segment.

    Raises ValueError for a number that is no exact decimal, for a position beyond an integer, and
    for text that is no UTF-8: pyarrow looks at none, and would write what nobody can read.
    """
    raw = dict(segment.read(group, RAW_TYPES))
    for field in RAW_TYPES["liquidation"]:
        raw[f"liquidation.{field.name}"] = pc.struct_field(raw["liquidation"], [field.name])
    raw["event_index"] = _whole_blocks(raw, continued, segment)
    columns: dict[str, Column] = {}
    for name, source in SOURCES.items():
        array = raw[source]
        if array.null_count == len(array):
            columns[name] = None
        elif name in DECIMALS:
            columns[name] = _decimals(array, f"{source} of {segment.name}")
        elif pa.types.is_dictionary(array.type):
            _check_text(array.dictionary, source, segment)
            columns[name] = _sides(array) if name == "side" else _repeated(array)
        elif pa.types.is_string(array.type):
            _check_text(array, source, segment)
            columns[name] = Text(*texts(array), known(array))
        else:
            values = pc.cast(array, pa.uint8()) if pa.types.is_boolean(array.type) else array
            columns[name] = Values(numbers(values), known(array))
    return columns


def _whole_blocks(raw: Mapping[str, pa.Array], continued: Continued, segment: Segment) -> pa.Array:
    """Return the positions, counted on where a block began in an earlier segment."""
    if not len(continued.blocks):
        return raw["event_index"]
    found = continued(
        filled(raw["block_number"], FIRST),
        filled(pc.cast(raw["event_index"], pa.int64()), NO_POSITION),
    )
    is_null = found == NO_POSITION
    if (found[~is_null] > _HIGHEST).any():
        raise ValueError(
            f"event_index of {segment.name}: with the parts of its block in earlier segments a "
            f"position is above {_HIGHEST}. Correct the segment, or move it away."
        )
    return pa.array(found.astype(np.int32), mask=is_null)


def _check_text(array: pa.StringArray, source: str, segment: Segment) -> None:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{source} of {segment.name}: {error}") from error


def _decimals(array: pa.Array, where: str) -> Decimals:
    if pa.types.is_dictionary(array.type):
        words = exact_decimals(array.dictionary, where)
        return Decimals(words, filled(array.indices, 0), known(array))
    return Decimals(exact_decimals(array, where), None, known(array))


def _repeated(array: pa.DictionaryArray) -> Repeated:
    data, offsets = texts(array.dictionary)
    return Repeated(data, offsets, filled(array.indices, -1), int(np.diff(offsets).max()))


def _sides(array: pa.DictionaryArray) -> Repeated:
    places = {raw: place for place, raw in enumerate(SIDES)}
    codes = [places.get(text, -1) for text in array.dictionary.to_pylist()]
    indices = np.array([*codes, -1], np.int32)[filled(array.indices, -1)]
    words = pa.array(SIDES.values())
    return _repeated(pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), words))
