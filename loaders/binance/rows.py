"""Lines to columns: exact decimals and times, every fault named with its line.

`read_lines` is the definition of what a line means. `read_plain` gives the same rows many times
faster, for text that holds nothing surprising; it refuses any other.
"""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation
from math import isfinite
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from loaders.binance.layouts import Column
from loaders.channels import DECIMAL, TIME

FIRST_SECOND: Final = 1_262_304_000
"""2010-01-01. A time before it is in no unit that we know."""
END_SECOND: Final = 4_102_444_800
"""2100-01-01, the first time that is not believed."""

TYPES: Final[dict[str, pa.DataType]] = {
    "integer": pa.int64(),
    "decimal": DECIMAL,
    "double": pa.float64(),
    "time": TIME,
    "flag": pa.bool_(),
    "text": pa.string(),
}
LONGEST: Final = 26
"""Digits before the point of a decimal(38, 12)."""

_TRUE: Final = ("true", "True", "TRUE")
_FALSE: Final = ("false", "False", "FALSE")
_NUMBER: Final = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INTEGER: Final = re.compile(r"-?[0-9]+")
_GROWING: Final = re.compile(rb"[eE][0-9]")
_INT64: Final = range(-(1 << 63), 1 << 63)
_UNIT: Final = Decimal(1).scaleb(-12)
_EXACT: Final = Context(prec=38, traps=[InvalidOperation, Inexact])
# No space, sign, quote or letter that Arrow would read and `read_lines` would not.
_PLAIN: Final = b"0123456789.,-\n" + bytes({*b"eE", *b"".join(map(str.encode, _TRUE + _FALSE))})


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that is no row."""

    line: int
    error_type: str
    message: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Rows:
    """What some lines hold."""

    table: pa.Table
    """A column for each that is not skipped, in the types of `TYPES`; nothing is null."""
    rejects: list[Reject] = field(default_factory=list)


class _FaultError(Exception):
    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


def read(text: bytes, line: int, columns: Sequence[Column]) -> Rows:
    """Read whole lines; `line` is the number of the first one."""
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    return read_plain(text, columns) or read_lines(text, line, columns)


def read_plain(text: bytes, columns: Sequence[Column]) -> Rows | None:
    """Read lines with Arrow, or return None where one of them needs a closer look."""
    if not text or text.translate(None, _PLAIN) or not _is_short(text):
        return None
    try:
        table = pa.csv.read_csv(
            io.BytesIO(text),
            pa.csv.ReadOptions(
                use_threads=False,
                block_size=len(text),
                column_names=[str(place) for place in range(len(columns))],
            ),
            pa.csv.ParseOptions(quote_char=False),
            pa.csv.ConvertOptions(
                column_types={
                    str(place): pa.int64() if column.kind == "time" else TYPES[column.kind]
                    for place, column in enumerate(columns)
                    if column.kind != "skip"
                },
                null_values=[],
                true_values=list(_TRUE),
                false_values=list(_FALSE),
                include_columns=[
                    str(place) for place, column in enumerate(columns) if column.kind != "skip"
                ],
            ),
        )
    except pa.ArrowInvalid:
        return None
    kept = [column for column in columns if column.kind != "skip"]
    arrays = []
    for column, values in zip(kept, table.columns, strict=True):
        if column.kind == "time":
            times = _times(values)
            if times is None:
                return None
            values = times
        elif column.kind == "double" and not pc.all(pc.is_finite(values)).as_py():
            return None
        arrays.append(values)
    return Rows(pa.table(arrays, names=[column.name for column in kept]))


def read_lines(text: bytes, line: int, columns: Sequence[Column]) -> Rows:
    """Read lines one by one."""
    places = {column.name: place for place, column in enumerate(columns)}
    kept = [
        (place, places.get(column.fallback), column, _READERS[column.kind])
        for place, column in enumerate(columns)
        if column.kind != "skip"
    ]
    values: list[list[Any]] = [[] for _ in kept]
    rejects = []
    for number, content in enumerate(text.split(b"\n"), line):
        if not content.strip():
            continue
        try:
            row = _read_line(content, len(columns), kept)
        except _FaultError as fault:
            rejects.append(Reject(number, fault.error_type, str(fault), content))
            continue
        for column_values, value in zip(values, row, strict=True):
            column_values.append(value)
    arrays = [
        pa.array(items, pa.int64()).cast(TIME)
        if column.kind == "time"
        else pa.array(items, TYPES[column.kind])
        for items, (_, _, column, _) in zip(values, kept, strict=True)
    ]
    return Rows(pa.table(arrays, names=[column.name for _, _, column, _ in kept]), rejects)


def _read_line(
    content: bytes,
    width: int,
    kept: Sequence[tuple[int, int | None, Column, Callable[[str], Any]]],
) -> list[Any]:
    try:
        fields = content.decode().split(",")
    except UnicodeDecodeError:
        raise _FaultError("BAD_TEXT", "the line is not UTF-8") from None
    if len(fields) != width:
        raise _FaultError("WRONG_COLUMN_COUNT", f"{len(fields)} columns, expected {width}")
    row = []
    for place, fallback, column, reader in kept:
        text = fields[place]
        if not text and fallback is not None:
            text = fields[fallback]
        try:
            row.append(reader(text))
        except _FaultError as fault:
            raise _FaultError(fault.error_type, f"{column.name!r} {fault}") from None
    return row


def _integer(text: str) -> int:
    number = int(text) if _INTEGER.fullmatch(text) and len(text) <= LONGEST else None
    if number is None or number not in _INT64:
        raise _FaultError("BAD_NUMBER", "is no 64-bit integer")
    return number


def _decimal(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise _FaultError("BAD_NUMBER", "is no number")
    try:
        return Decimal(text).quantize(_UNIT, context=_EXACT)
    except (InvalidOperation, Inexact):
        raise _FaultError("BAD_NUMBER", "does not fit decimal(38, 12)") from None


def _double(text: str) -> float:
    if not _NUMBER.fullmatch(text) or not isfinite(float(text)):
        raise _FaultError("BAD_NUMBER", "is no number")
    return float(text)


def _time(text: str) -> int:
    """Return microseconds, of a number of milliseconds or microseconds."""
    number = int(text) if _INTEGER.fullmatch(text) and len(text) <= LONGEST else 0
    if FIRST_SECOND * 10**3 <= number < END_SECOND * 10**3:
        return number * 1000
    if FIRST_SECOND * 10**6 <= number < END_SECOND * 10**6:
        return number
    raise _FaultError("BAD_TIME", "is no time since 2010 in milliseconds or microseconds")


def _flag(text: str) -> bool:
    if text not in _TRUE and text not in _FALSE:
        raise _FaultError("BAD_VALUE", "is neither true nor false")
    return text in _TRUE


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "integer": _integer,
    "decimal": _decimal,
    "double": _double,
    "time": _time,
    "flag": _flag,
    "text": str,
}


def _times(values: pa.ChunkedArray) -> pa.Array | None:
    """Return the times of a column, which may mix the two units; None where one is in neither."""
    numbers: npt.NDArray[np.int64] = values.to_numpy()
    millis = (numbers >= FIRST_SECOND * 10**3) & (numbers < END_SECOND * 10**3)
    if not millis.all():
        micros = (numbers >= FIRST_SECOND * 10**6) & (numbers < END_SECOND * 10**6)
        if not (millis | micros).all():
            return None
    return pa.array(np.where(millis, numbers * 1000, numbers)).cast(TIME)


def _is_short(text: bytes) -> bool:
    """Return whether no number can be too large for a decimal, which Arrow does not always notice.

    So is one of no more than 26 characters without a positive exponent.
    """
    in_words = text.count(b"ue") + text.count(b"se")
    if (b"E" in text or text.count(b"e") > in_words) and _GROWING.search(text):
        return False
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero((data == ord(",")) | (data == ord("\n")))
    longest = np.diff(ends, prepend=-1, append=len(data)).max() - 1
    return int(longest) <= LONGEST
