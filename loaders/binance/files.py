"""One file of the archive: a ZIP with one CSV in it, and a checksum beside it."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from loaders.binance.archive import CHANNELS, Series
from loaders.source import Source, SourceObject

if TYPE_CHECKING:
    from loaders.binance.layouts import Column
    from loaders.worker import Sink

CHECKSUM: Final = ".CHECKSUM"

_SHA256: Final = re.compile(rb"\s*([0-9A-Fa-f]{64})(?:\s|$)")
_BOM: Final = b"\xef\xbb\xbf"
_FIRST_LINES: Final = 10
_TIME_OF_TRADES: Final = {"trades": "time", "aggTrades": "transact_time"}


@dataclass(frozen=True, slots=True)
class FileParser:
    """Reads one file of a series."""

    series: Series

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read a file. Raises BrokenObjectError.

        A file without a checksum lands, and its outcome says so: the ZIP's own checksum of its
        content is looked at in any case.
        """
        from loaders.binance.channels import to_channel
        from loaders.binance.rows import read
        from loaders.decode import count_lines
        from loaders.zips import seekable

        with source.open(found.path) as stream, seekable(stream) as file:
            if not _check(source, found.path, file):
                sink.note(f"it has no {CHECKSUM} beside it")
            for text, line, columns in _texts(file, self.series):
                sink.read(count_lines(text))
                rows = read(text, line, columns)
                for reject in rows.rejects:
                    sink.reject(
                        reject.error_type,
                        reject.message,
                        line=reject.line,
                        content=reject.content,
                    )
                if self.series.id_column is not None:
                    days = rows.table[_TIME_OF_TRADES[self.series.data]].cast("date32")
                    sink.ids(days, rows.table[self.series.id_column])
                table, extra = to_channel(self.series, rows.table, columns)
                for name, values in extra:
                    count = len(values) - values.null_count
                    if count:
                        sink.extra(name, count)
                sink.rows(
                    CHANNELS[self.series.data],
                    table,
                    exchange=self.series.exchange,
                    symbol=self.series.symbol,
                    interval=self.series.interval,
                )


def _check(source: Source, path: str, file: BinaryIO) -> bool:
    """Compare an object with its checksum; False where it has none. Raises BrokenObjectError."""
    from loaders.decode import BrokenObjectError

    try:
        with source.open(path + CHECKSUM) as stream:
            content = stream.read(1 << 10)
    except FileNotFoundError:
        return False
    shape = _SHA256.match(content)
    if shape is None:
        raise BrokenObjectError("CHECKSUM_UNREADABLE", f"its {CHECKSUM} begins with no SHA-256")
    expected = shape[1].decode().lower()
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    if digest.hexdigest() != expected:
        size = file.tell()
        told = f"its SHA-256 is {digest.hexdigest()}" if size else "it is empty (0 bytes)"
        raise BrokenObjectError(
            "CHECKSUM_MISMATCH", f"{told}, and its {CHECKSUM} says {expected}", size
        )
    file.seek(0)
    return True


def _texts(file: BinaryIO, series: Series) -> "Iterator[tuple[bytes, int, list[Column]]]":
    """Yield whole lines of data, the number of the first of them, and the columns they have."""
    from loaders.binance.layouts import columns_of, from_header, from_width, is_header
    from loaders.decode import chunks
    from loaders.zips import member

    known = columns_of(series.market, series.data)
    columns: list[Column] | None = None
    line = 1
    with member(file) as (_, csv):
        for chunk in chunks(csv, codec=None, json_lines=False):
            text = chunk.text
            if columns is None:
                text = text.removeprefix(_BOM)
                head = text.split(b"\n", _FIRST_LINES)[:_FIRST_LINES]
                if is_header(head[0]):
                    columns = from_header(head[0].rstrip(b"\r"), known)
                    text = text[len(head[0]) + 1 :]
                    line += 1
                else:
                    widths = [item.count(b",") + 1 for item in head if item.strip()]
                    columns = from_width(widths, known)
            yield text, line, columns
            line += text.count(b"\n")
