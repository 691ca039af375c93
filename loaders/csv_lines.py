"""The lines of a CSV object as columns of text, in bounded memory.

A line is a row: a quoted field may hold a delimiter, but no line break. Lines that cannot be split
into the fields of the header are rejected; what the fields mean is for others to say.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import BinaryIO, Final, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from loaders import zips
from loaders.decode import BrokenObjectError, Chunk, Codec, Peeked, chunks, codec_of_text
from loaders.limits import LINE_BYTES, too_many_columns
from loaders.mapping import NO_MAPPING, ColumnMapping

DELIMITERS: Final = ",;\t|"
_LONGEST_NAME: Final = 10_000
_BOM: Final = b"\xef\xbb\xbf"
_URL: Final = re.compile(rb"\s*(?:https?://|www\.)[^\s,;|]+\s*", re.IGNORECASE)
_SEPARATOR: Final = re.compile(rb"sep=(.)\s*", re.IGNORECASE)
_MARKUP: Final = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<error")
_A_VALUE: Final = re.compile(
    r"[-+]?[0-9.,]*[0-9](?:[eE][-+]?[0-9]+)?"  # a number
    r"|[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?:[T ].*)?"  # a date
    r"|[0-9]{1,2}:[0-9]{2}(?::.*)?"  # a time of day
)
_WANTED: Final = ("timestamp", "price", "size")
_SHOWN: Final = 200
_SAMPLED: Final = 20
_NOT_UTF8: Final = (
    'the line is not UTF-8 text. "encoding" of the mapping says which text it is, such as latin-1'
)


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
    """A line that is not a row."""

    number: int
    error_type: str
    message: str
    content: bytes


@contextmanager
def open_csv(
    stream: BinaryIO,
    path: str,
    mapping: ColumnMapping = NO_MAPPING,
    wanted: Sequence[str] = _WANTED,
) -> "Iterator[CsvObject]":
    """Open an object that holds a CSV, compressed or in a ZIP, as the mapping says it is written.

    The names that are `wanted` are an example in the error about an object without a header. Raises
    BrokenObjectError, also if it is another kind of file.
    """
    peeked = Peeked(stream)
    if not peeked.head.startswith(zips.MAGIC):
        codec = codec_of_text(peeked.head, path)
        yield CsvObject(cast(BinaryIO, peeked), codec, mapping, path, wanted)
        return
    if stream.seekable():
        stream.seek(0)
    source = stream if stream.seekable() else cast(BinaryIO, peeked)
    hint = '. Give "member" in the mapping, the name or a pattern of the one to read'
    with (
        zips.seekable(source) as file,
        zips.member(file, glob=mapping.member, hint=hint) as (name, text),
    ):
        inner = Peeked(text)
        codec = codec_of_text(inner.head, name)
        yield CsvObject(cast(BinaryIO, inner), codec, mapping, f"{path}/{name}", wanted)


class CsvObject:
    """A CSV object whose header has been read.

    The mapping may say which columns it has and how it is written. Of a gzip or zstd object that is
    cut, the whole lines are read; LZ4 is for sealed objects of archives, which can be fetched
    again. Raises BrokenObjectError.
    """

    def __init__(
        self,
        stream: BinaryIO,
        codec: Codec,
        mapping: ColumnMapping = NO_MAPPING,
        path: str = "",
        wanted: Sequence[str] = _WANTED,
    ) -> None:
        csv.field_size_limit(LINE_BYTES.value)  # a whole book may be one field
        self.path = path
        """Where it is, the name in a ZIP included."""
        self.skipped = 0
        """Lines before the header that are not rows."""
        self.read = 0
        """Lines read so far, without the header and blank ones."""
        self._cuts: list[tuple[BrokenObjectError, bytes]] = []
        self._chunks = chunks(
            stream,
            codec=codec,
            json_lines=False,
            on_cut=None if codec == "lz4" else self._note_cut,
            encoding=mapping.encoding or "",
        )
        self._first_line = 1
        self._text = next(self._chunks, Chunk(b"", 0)).text.removeprefix(_BOM)
        _refuse_other_text(self._text)
        delimiter = mapping.delimiter
        while True:
            line, newline, rest = self._text.partition(b"\n")
            separator = _SEPARATOR.fullmatch(line)  # Excel says so
            if separator is not None and delimiter is None:
                delimiter = separator[1].decode("latin-1")
            is_skipped = self._first_line <= mapping.skip_lines or (
                separator is not None or _URL.fullmatch(line) is not None
            )
            if not newline or not (is_skipped or not line.strip()):
                break
            self.skipped += is_skipped
            self._skip(rest)
        if not line.strip():
            if self._cuts:
                raise self._cuts[0][0]
            raise BrokenObjectError("NO_HEADER", "there is no line in it")
        try:
            head = line.decode()
        except UnicodeDecodeError:
            told = (
                'the first line is not UTF-8 text. Give "encoding" in the mapping, for example '
                '{"encoding": "latin-1"}'
            )
            raise BrokenObjectError("NOT_UTF8", told) from None
        self.delimiter = delimiter or max(DELIMITERS, key=head.count)
        self._head = self._fields(head)
        has_header = mapping.header is None or mapping.header is True
        if mapping.header is None and _are_values(self._head):
            raise BrokenObjectError("NO_HEADER", _no_header(self._head, head, wanted))
        self.names = _names(self._head, mapping.header)
        """The columns."""
        if why := too_many_columns(len(self.names)):
            raise BrokenObjectError("TOO_MANY_COLUMNS", why)
        repeated = [name for name, count in Counter(self.names).items() if count > 1]
        if repeated:
            raise BrokenObjectError(
                "DUPLICATE_COLUMN",
                f'two columns are called {repeated[0]!r}. Give "header" in the mapping, a list of '
                'names that differ, with "skip_lines": 1 to leave this header out',
            )
        self._repeated = self._head if has_header else self.names
        if has_header:
            self._skip(rest)

    def lines(
        self, reject: Callable[[BadLine], None], skip: Callable[[str, int], None] | None = None
    ) -> Iterator[Lines]:
        """Yield the lines after the header; those that are not rows go to `reject`.

        `skip` is given the reason and the number of lines that hold no data, such as a header that
        is repeated; without it they are rejected.
        """
        if skip is not None and self.skipped:
            skip("lines before the header", self.skipped)
        self.read += self.skipped
        first = self._first_line
        for text in self._texts():
            first += self._tell_cuts(first, reject)
            count = text.count(b"\n") + (not text.endswith(b"\n"))
            table = self._fast(text, count)
            if table is None:
                self.read += sum(not line.isspace() for line in text.split(b"\n") if line)
                lines = self._exact(text, first, reject)
            else:
                self.read += count
                lines = Lines(table, np.arange(first, first + count), text, first)
            yield self._without_headers(lines, reject, skip)
            first += count
        self._tell_cuts(first, reject)

    def _note_cut(self, error: BrokenObjectError, rest: bytes) -> None:
        self._cuts.append((error, rest))

    def _tell_cuts(self, number: int, reject: Callable[[BadLine], None]) -> int:
        """Reject the part of a line before each cut since the last call; return how many."""
        cuts, self._cuts = self._cuts, []
        for place, (error, rest) in enumerate(cuts, number):
            told = f"{error.message}; all whole lines before it are read"
            reject(BadLine(place, error.error_type, told, rest))
        self.read += len(cuts)
        return len(cuts)

    def sample(self) -> dict[str, list[str]]:
        """Return the values of each column in the first lines, which stay to be read."""
        text = self._text[:65_536].decode(errors="replace")
        rows = csv.reader(text.splitlines()[:_SAMPLED], delimiter=self.delimiter)
        width = len(self.names)
        whole = [row for row in rows if len(row) == width]
        return {name: [row[place] for row in whole] for place, name in enumerate(self.names)}

    def _without_headers(
        self,
        lines: Lines,
        reject: Callable[[BadLine], None],
        skip: Callable[[str, int], None] | None,
    ) -> Lines:
        repeated = pc.equal(lines.table.column(0), self._repeated[0]).fill_null(False)
        if not pc.any(repeated).as_py():
            return lines
        for place, name in enumerate(self._repeated[1:], 1):
            same = pc.equal(lines.table.column(place).fill_null(""), name)
            repeated = pc.and_(repeated, same)
        is_header = repeated.to_numpy()
        if skip is not None:
            skip("repeated headers", int(is_header.sum()))
        else:
            for row in np.flatnonzero(is_header).tolist():
                number = int(lines.numbers[row])
                told = "the line repeats the header"
                reject(BadLine(number, "REPEATED_HEADER", told, lines.content(row)))
        return lines.where(~is_header)

    def _fields(self, head: str) -> list[str]:
        try:
            line = head.rstrip("\r")
            if "\r" in line:
                raise BrokenObjectError(
                    "NO_HEADER",
                    "its lines end with a carriage return (CR) alone, as on old Macs. Write them "
                    "with a newline",
                )
            names = next(csv.reader([line], delimiter=self.delimiter))
        except csv.Error as error:
            told = f"the first line has no names of columns: {error}"
            raise BrokenObjectError("NO_HEADER", told) from None
        longest = max(map(len, names))
        if longest > _LONGEST_NAME:
            told = f"the first line has a field of {longest:,} characters, which is not a name"
            raise BrokenObjectError("NO_HEADER", told)
        return names

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
                reject(BadLine(number, "NOT_UTF8", _NOT_UTF8, line))
            except (csv.Error, StopIteration) as error:
                reject(
                    BadLine(
                        number, "BAD_LINE", f"the line cannot be split into fields: {error}", line
                    )
                )
            else:
                if len(fields) == len(self.names):
                    rows.append([item or None for item in fields])
                    numbers.append(number)
                    continue
                count = f"{len(fields)} field{'s' * (len(fields) != 1)}"
                told = f"the line has {count}, and the header {len(self.names)}"
                reject(BadLine(number, "BAD_LINE", told, line))
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self.names)
        arrays = [pa.array(column, pa.string()) for column in columns]
        table = pa.Table.from_arrays(arrays, names=self.names)
        return Lines(table, np.array(numbers, np.int64), text, first)


def _refuse_other_text(text: bytes) -> None:
    """Raise BrokenObjectError if text begins as no CSV does."""
    line = next((line.strip() for line in text[:65_536].split(b"\n") if line.strip()), b"")
    if b"\0" in text[:512]:
        raise BrokenObjectError("NOT_CSV", "it holds binary data, or text of another encoding")
    if line[:16].lower().startswith(_MARKUP):
        raise BrokenObjectError("NOT_CSV", "it is HTML or XML, perhaps the error of a server")
    is_long = len(line) > 60_000  # and may be cut
    if line[:1] in (b"{", b"[") and (len(line) == 1 or is_long or _is_json(line)):
        raise BrokenObjectError(
            "NOT_CSV",
            "it holds JSON, not CSV. `ticklake land capture` reads the messages of some exchanges "
            "in JSON lines",
        )


def _is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _are_values(fields: Sequence[str]) -> bool:
    """Return whether the fields of a first line are values and not names."""
    if [field.strip() for field in fields if field.strip()] in (
        [str(number) for number in range(len(fields) - first)] for first in (0, 1)
    ):
        return False  # pandas calls columns without names 0, 1, 2, and leaves that of the index out
    return any(_A_VALUE.fullmatch(field.strip()) for field in fields)


def _no_header(fields: Sequence[str], line: str, wanted: Sequence[str]) -> str:
    return (
        f"the first line has values, not the names of columns: {line.strip()[:_SHOWN]}. Name its "
        f"{len(fields)} columns in their order in the file of --config, for example "
        f'{json.dumps({"header": list(wanted)})}, or give {{"header": true}} if these are names'
    )


def _names(fields: Sequence[str], header: tuple[str, ...] | bool | None) -> list[str]:
    if isinstance(header, tuple):
        return list(header)
    found = fields if header is not False else [""] * len(fields)
    return [name.strip() or f"column_{place}" for place, name in enumerate(found, 1)]
