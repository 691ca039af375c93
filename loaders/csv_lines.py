"""The lines of a CSV object as columns of text, in bounded memory.

A line is a row: a quoted field may hold a delimiter, but no line break. Lines that cannot be split
into the fields of the header are rejected; what the fields mean is for others to say.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv

from loaders.decode import BrokenObjectError, Chunk, Codec, chunks

DELIMITERS: Final = ",;\t|"
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Lines:
    """Lines with as many fields as the header has."""

    table: pa.Table
    """Text, null where a field is empty."""
    numbers: npt.NDArray[np.int64]
    """The line of each row, from 1."""
    text: bytes = field(repr=False)
    first: int
    """The number of the first line of `text`."""

    def content(self, row: int) -> bytes:
        """Return the line that a row was made of."""
        line: bytes = self._lines[int(self.numbers[row]) - self.first]
        return line.rstrip(b"\r")

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Lines":
        """Return some of the rows."""
        if chosen.all():
            return self
        rows = self.table.filter(pa.array(chosen))
        return Lines(rows, self.numbers[chosen], self.text, self.first)

    @cached_property
    def _lines(self) -> list[bytes]:
        return self.text.split(b"\n")


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no row."""

    number: int
    error_type: str
    message: str
    content: bytes


class CsvObject:
    """A CSV object whose first line has been read.

    `header` names the columns of an object without a header. Of a gzip or zstd object that is cut,
    the whole lines are read; LZ4 is for sealed objects of archives, which can be fetched again.
    Raises BrokenObjectError.
    """

    def __init__(self, stream: BinaryIO, codec: Codec, header: Sequence[str] | None = None) -> None:
        self._cut: tuple[BrokenObjectError, bytes] | None = None
        on_cut = None if codec == "lz4" else self._note_cut
        self._chunks = chunks(stream, codec=codec, json_lines=False, on_cut=on_cut)
        self._first_line = 1
        text = next(self._chunks, Chunk(b"", 0)).text.removeprefix(_BOM)
        self._text = text
        while True:
            line, newline, rest = self._text.partition(b"\n")
            if line.strip() or not newline:
                break
            self._skip(rest)
        if not line.strip():
            if self._cut is not None:
                raise self._cut[0]
            raise BrokenObjectError("NO_HEADER", "there is no line in it")
        try:
            head = line.decode()
        except UnicodeDecodeError:
            raise BrokenObjectError("NOT_UTF8", "the first line is no UTF-8 text") from None
        self.delimiter = max(DELIMITERS, key=head.count)
        if header is None:
            self._skip(rest)
            try:
                fields = next(csv.reader([head.rstrip("\r")], delimiter=self.delimiter))
            except csv.Error as error:
                told = f"the first line has no names of columns: {error}"
                raise BrokenObjectError("NO_HEADER", told) from None
            header = [name.strip() or f"column_{place}" for place, name in enumerate(fields, 1)]
        self.names = list(header)
        """The columns."""
        for name in self.names:
            if self.names.count(name) > 1:
                raise BrokenObjectError("DUPLICATE_COLUMN", f"two columns are called {name!r}")

    def lines(self, reject: Callable[[BadLine], None]) -> Iterator[Lines]:
        """Yield the lines after the header; what is no row goes to `reject`."""
        first = self._first_line
        for text in self._texts():
            count = text.count(b"\n") + (not text.endswith(b"\n"))
            table = self._fast(text, count)
            if table is None:
                yield self._exact(text, first, reject)
            else:
                yield Lines(table, np.arange(first, first + count), text, first)
            first += count
        if self._cut is not None:
            error, rest = self._cut
            told = f"{error.message}; all whole lines before it are read"
            reject(BadLine(first, error.error_type, told, rest))

    def _note_cut(self, error: BrokenObjectError, rest: bytes) -> None:
        self._cut = error, rest

    def _skip(self, rest: bytes) -> None:
        self._text = rest
        self._first_line += 1

    def _texts(self) -> Iterator[bytes]:
        if self._text:
            yield self._text
        for chunk in self._chunks:
            yield chunk.text

    def _fast(self, text: bytes, count: int) -> pa.Table | None:
        """Return the rows of text without quotes, blank lines and faults, else None."""
        if b'"' in text or text.count(b"\r") != text.count(b"\r\n"):
            return None
        try:
            table = pyarrow.csv.read_csv(
                pa.BufferReader(text),
                pyarrow.csv.ReadOptions(
                    use_threads=False, block_size=len(text) + 1, column_names=self.names
                ),
                pyarrow.csv.ParseOptions(delimiter=self.delimiter, quote_char=False),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(self.names, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid:
            return None
        return table if table.num_rows == count else None

    def _exact(self, text: bytes, first: int, reject: Callable[[BadLine], None]) -> Lines:
        rows: list[list[str | None]] = []
        numbers: list[int] = []
        lines = text.split(b"\n")
        for number, line in enumerate(lines, first):
            if not line.strip():
                continue
            line = line.rstrip(b"\r")
            try:
                fields = next(csv.reader([line.decode()], delimiter=self.delimiter, strict=True))
            except UnicodeDecodeError:
                reject(BadLine(number, "NOT_UTF8", "the line is no UTF-8 text", line))
            except (csv.Error, StopIteration) as error:
                reject(BadLine(number, "BAD_LINE", f"no fields of a CSV line: {error}", line))
            else:
                if len(fields) == len(self.names):
                    rows.append([item or None for item in fields])
                    numbers.append(number)
                    continue
                told = f"{len(fields)} fields, where the header has {len(self.names)}"
                reject(BadLine(number, "BAD_LINE", told, line))
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self.names)
        arrays = [pa.array(column, pa.string()) for column in columns]
        table = pa.Table.from_arrays(arrays, names=self.names)
        return Lines(table, np.array(numbers, np.int64), text, first)
