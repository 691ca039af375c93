"""The book from the changes of `incremental_book_L2`."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders import values
from loaders.columns import split
from loaders.csv_files import described, reject_line
from loaders.csv_lines import BadLine, CsvObject, Lines
from ticklake.microstructure.book_changes import BookChanges, LevelChanges

if TYPE_CHECKING:
    from loaders.worker import Sink

_SIDES: Final = {"bid": "bid", "ask": "ask"}


class BookReader:
    """Reads the changes of an object and gives the rows of a book for each symbol to the sink.

    After a line that cannot be used a book is no longer known: it waits for the next snapshot. That
    is the book of the symbol of the line, or of every symbol where the line does not say.
    """

    def __init__(self, sink: "Sink", levels: int) -> None:
        self._sink = sink
        self._levels = levels
        self._books: dict[tuple[str, str], BookChanges] = {}

    def read(self, text: CsvObject) -> None:
        """Read all lines."""
        bad: list[BadLine] = []
        for lines in text.lines(bad.append, self._sink.skip):
            self._read(lines, bad)
            bad.clear()
        for line in bad:  # the file is cut, and with it the message before
            reject_line(self._sink, line)
            for book in self._books.values():
                book.lose()
        self._sink.read(text.read)
        for key, book in self._books.items():
            self._give(key, book.finish())
            if book.unused:
                self._sink.skip("changes without a book", book.unused)
                self._sink.fold(-book.unused)

    def _give(self, key: tuple[str, str], rows: pa.Table) -> None:
        """Give rows to the sink; they are made of changes that count as folded."""
        exchange, symbol = key
        self._sink.fold(-rows.num_rows)
        self._sink.rows("order_book", rows, exchange=exchange, symbol=symbol)

    def _read(self, lines: Lines, bad: list[BadLine]) -> None:
        table, faults = _changes(lines.table)
        losses: list[tuple[int, tuple[str, str] | None]] = []
        for line in bad:
            reject_line(self._sink, line)
            losses.append((int(np.searchsorted(lines.numbers, line.number)), None))
        for row, error_type, message in faults:
            self._sink.reject(error_type, message, **described(lines)(row))
            exchange, symbol = (table[name][row].as_py() for name in ("exchange", "symbol"))
            losses.append((row, (exchange, symbol) if exchange and symbol else None))
        is_good = np.ones(table.num_rows, bool)
        is_good[[row for row, _, _ in faults]] = False
        begin = 0
        for row, lost in sorted(losses, key=lambda loss: loss[0]):
            self._feed(table.slice(begin, row - begin), is_good[begin:row])
            begin = row
            for known, book in self._books.items():
                if lost is None or lost == known:
                    book.lose()
        self._feed(table.slice(begin), is_good[begin:])

    def _feed(self, table: pa.Table, is_good: values.Flags) -> None:
        if not is_good.all():
            table = table.filter(pa.array(is_good))
        if not table.num_rows:
            return
        for key, part in split(table, ["exchange", "symbol"]):
            exchange, symbol = key["exchange"], key["symbol"]
            if self._sink.symbols is not None and symbol not in self._sink.symbols:
                self._sink.skip("other symbols", part.num_rows)
                continue
            book = self._books.setdefault((exchange, symbol), BookChanges(self._levels))
            changes = LevelChanges(
                _times(part["ts_event"]),
                _times(part["ts_capture"]),
                part["is_snapshot"].to_numpy(),
                part["is_bid"].to_numpy(),
                part["price"].to_numpy(),
                part["size"].to_numpy(),
            )
            self._sink.fold(part.num_rows)
            self._give((exchange, symbol), book.feed(changes))


def _changes(lines: pa.Table) -> tuple[pa.Table, list[tuple[int, str, str]]]:
    """Return the changes of some lines, null where bad, and the faults: row, type, message."""
    side = values.sides(lines["side"], _SIDES)
    found = {
        "exchange": (values.strings(lines["exchange"]), "exchange", "BAD_VALUE"),
        "symbol": (values.strings(lines["symbol"]), "symbol", "BAD_VALUE"),
        "ts_event": (values.instants(lines["timestamp"]), "timestamp", "BAD_TIME"),
        "ts_capture": (values.instants(lines["local_timestamp"]), "local_timestamp", "BAD_TIME"),
        "is_snapshot": (values.flags(lines["is_snapshot"]), "is_snapshot", "BAD_FLAG"),
        "is_bid": (
            values.Values(pc.equal(side.array, "bid"), side.bad),
            "side",
            "BAD_SIDE",
        ),
        "price": (values.doubles(lines["price"]), "price", "BAD_NUMBER"),
        "size": (values.doubles(lines["amount"]), "amount", "BAD_NUMBER"),
    }
    faults: dict[int, tuple[int, str, str]] = {}
    for column, source, error_type in found.values():
        bad = np.zeros(len(column.array), bool) if column.bad is None else column.bad
        for row in np.flatnonzero(column.array.is_null().to_numpy(zero_copy_only=False)).tolist():
            fault = (
                (row, error_type, f"{source!r} cannot be read")
                if bad[row]
                else (row, "MISSING_FIELD", f"there is no {source!r}")
            )
            faults.setdefault(row, fault)
    table = pa.table({name: column.array for name, (column, _, _) in found.items()})
    return table, [faults[row] for row in sorted(faults)]


def _times(column: Any) -> Any:
    return column.cast(pa.int64()).to_numpy().view("datetime64[us]")
