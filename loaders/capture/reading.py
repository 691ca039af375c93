"""Reading a whole capture: the rows of its channels, and the book of each symbol."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from loaders.capture import tables
from loaders.capture.captures import EXCHANGES, CaptureParser
from loaders.capture.fields import Kind, Row
from loaders.capture.lines import LineReader, Lines
from loaders.decode import BrokenObjectError, chunks, codec_of
from loaders.source import Source, SourceObject
from ticklake.microstructure.book_rebuild import BookEvents, BookRebuild, SequenceRule

if TYPE_CHECKING:
    from loaders.worker import Sink

_TABLES: Final[Sequence[tuple[str, Kind, Callable[[Sequence[Row]], pa.Table]]]] = (
    ("trades", "trade", tables.trades),
    ("tickers", "ticker", tables.tickers),
    ("mark_prices", "mark", tables.mark_prices),
    ("funding_rates", "mark", tables.funding_rates),
)


def read_capture(parser: CaptureParser, source: Source, found: SourceObject, sink: "Sink") -> None:
    """Give what a capture holds to the sink. Raises BrokenObjectError.

    Each capture is read alone: its books begin with its first snapshot, and what another capture of
    the same stream held before is not used.
    """
    given = parser.snapshot_symbol
    reader = LineReader(_rule(parser), given.encode() if given else None)
    books = _Books(parser, sink)
    trades = _TradeStreams(parser, sink)
    number = 1

    def reject_tail(error: BrokenObjectError, rest: bytes) -> None:
        told = f"{error.message}; all whole lines before it are read"
        sink.reject(error.error_type, told, line=number, content=rest)

    with source.open(found.path) as stream:
        # A recorder that was killed leaves its last line cut off: that is one bad line.
        codec = codec_of(found.path)
        for chunk in chunks(stream, codec=codec, json_lines=False, on_cut=reject_tail):
            lines = reader.read(chunk.text, number)
            try:
                events = books.events(lines, reader.owner)
            except tables.RefusedError:
                lines = reader.read(chunk.text, number, exactly=True)
                events = books.events(lines, reader.owner)
            if reader.has_unnamed and given is None:
                _require_one(reader.symbols)
            trades.choose(lines)
            _give(lines, parser.exchange, sink)
            books.feed(events)
            number += lines.count
    books.finish()


def _rule(parser: CaptureParser) -> SequenceRule:
    return SequenceRule(EXCHANGES[parser.exchange])


def _give(lines: Lines, exchange: str, sink: "Sink") -> None:
    """Give all but the book to the sink."""
    for channel, kind, table_of in _TABLES:
        by_symbol = _by_symbol(lines, kind)
        if channel == "funding_rates":
            by_symbol = {
                symbol: list(filter(tables.has_funding, by_symbol[symbol])) for symbol in by_symbol
            }
        rows = list(chain.from_iterable(by_symbol.values()))
        if not rows:
            continue
        table = table_of(rows)  # of all symbols: a table each would cost more than its rows
        for symbol, begin, end in _spans(by_symbol):
            part = table.slice(begin, end - begin)
            sink.rows(channel, part, exchange=exchange, symbol=symbol.decode())
    for reject in lines.rejects:
        sink.reject(reject.error_type, reject.message, line=reject.number, content=reject.line)
    for name, count in lines.extra.items():
        sink.extra(name, count)


def _by_symbol(lines: Lines, kind: Kind) -> dict[bytes, list[Row]]:
    return {
        symbol: rows
        for (of_kind, symbol), rows in lines.rows.items()
        if of_kind == kind and symbol is not None
    }


def _spans(by_symbol: dict[bytes, list[Row]]) -> Iterator[tuple[bytes, int, int]]:
    """Yield where the rows of each symbol lie, one symbol after the other."""
    end = 0
    for symbol, rows in by_symbol.items():
        begin, end = end, end + len(rows)
        yield symbol, begin, end


class _TradeStreams:
    """Keeps trades or aggTrades, since both are of the same executions."""

    def __init__(self, parser: CaptureParser, sink: "Sink") -> None:
        self._wanted = parser.trades
        self._sink = sink
        self._seen: dict[bytes, str] = {}

    def choose(self, lines: Lines) -> None:
        """Leave only one of the two in some lines. Raises BrokenObjectError where none is named."""
        for symbol, rows in _by_symbol(lines, "trade").items():
            grouped = [row for row in rows if _is_aggregate(row)]
            for stream, count in (("aggTrade", len(grouped)), ("trade", len(rows) - len(grouped))):
                if count and self._wanted is None and self._is_landed(symbol):
                    self._require_same(symbol, stream)
            if self._wanted == "aggTrade":
                lines.rows["trade", symbol] = grouped
            elif self._wanted == "trade" and grouped:
                lines.rows["trade", symbol] = [row for row in rows if not _is_aggregate(row)]

    def _is_landed(self, symbol: bytes) -> bool:
        return self._sink.symbols is None or symbol.decode() in self._sink.symbols

    def _require_same(self, symbol: bytes, stream: str) -> None:
        if self._seen.setdefault(symbol, stream) != stream:
            raise BrokenObjectError(
                "AMBIGUOUS_TRADES",
                f"{symbol.decode()} has trade and aggTrade events, which tell the same executions "
                "twice. Say which of them to land with --trades",
            )


def _is_aggregate(row: Row) -> bool:
    """Return whether the row of a trade has a first trade id, as only aggTrades have."""
    return row[4] is not None


class _Books:
    """The books of a capture, by symbol."""

    def __init__(self, parser: CaptureParser, sink: "Sink") -> None:
        self._parser = parser
        self._sink = sink
        self._books: dict[bytes, BookRebuild] = {}
        self._unnamed: list[Row] = []  # snapshots that came before any symbol

    def events(self, lines: Lines, owner: bytes | None) -> dict[bytes, BookEvents]:
        """Return the book events of each symbol in some more lines. Raises RefusedError."""
        by_symbol = _by_symbol(lines, "depth")
        unnamed = [*self._unnamed, *lines.rows.get(("depth", None), [])]
        if owner is not None and unnamed:
            by_symbol[owner] = [*unnamed, *by_symbol.get(owner, [])]
            unnamed = []
        by_symbol = {symbol: by_symbol[symbol] for symbol in by_symbol if self._is_wanted(symbol)}
        rows = list(chain.from_iterable(by_symbol.values()))
        events = tables.book_events(rows) if rows else BookEvents.none()
        self._unnamed = unnamed
        return {symbol: events.between(begin, end) for symbol, begin, end in _spans(by_symbol)}

    def feed(self, events: dict[bytes, BookEvents]) -> None:
        """Give the rows that some more events make known to the sink."""
        for symbol, of_symbol in events.items():
            if symbol not in self._books:
                self._books[symbol] = BookRebuild(
                    _rule(self._parser),
                    levels=self._parser.levels,
                    interval_us=self._parser.interval_ms * 1000,
                )
            self._give(symbol, self._books[symbol].feed(of_symbol))

    def finish(self) -> None:
        """Give the last rows to the sink, and say what gave none."""
        for symbol, book in self._books.items():
            self._give(symbol, book.finish())
            if book.unused:
                self._sink.note(
                    f"{symbol.decode()}: {book.unused:,} depth updates without a book, before a "
                    f"snapshot or after one of {book.gaps:,} gaps"
                )
        if self._unnamed:
            self._sink.reject(
                "UNKNOWN_SYMBOL",
                f"{len(self._unnamed)} snapshots name no symbol, and nor does anything else: "
                "say whose they are with --snapshots-of",
            )

    def _is_wanted(self, symbol: bytes) -> bool:
        return self._sink.symbols is None or symbol.decode() in self._sink.symbols

    def _give(self, symbol: bytes, rows: pa.Table) -> None:
        self._sink.rows("order_book", rows, exchange=self._parser.exchange, symbol=symbol.decode())


def _require_one(symbols: Iterable[bytes]) -> None:
    names = sorted(symbol.decode() for symbol in symbols)
    if len(names) > 1:
        raise BrokenObjectError(
            "AMBIGUOUS_SNAPSHOT",
            "a snapshot names no symbol, and the capture has several: "
            f"{', '.join(names[:5])}{' and more' if len(names) > 5 else ''}. Say whose it "
            "is with --snapshots-of",
        )
