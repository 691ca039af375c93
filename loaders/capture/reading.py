"""Reading a whole capture: the rows of its channels, and the book of each symbol."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import pyarrow as pa

from loaders.capture import tables
from loaders.capture.captures import EXCHANGES, CaptureParser
from loaders.capture.fields import SPOT_PARTIAL_BOOKS, Kind, Row
from loaders.capture.lines import LineReader, Lines
from loaders.decode import BrokenObjectError, Peeked, chunks, codec_of_text, count_lines
from loaders.source import Source, SourceObject
from ticklake.microstructure.book_rebuild import BookEvents, BookRebuild, SequenceRule, WholeBooks

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
        nonlocal number
        sink.read(1)
        told = f"{error.message}; all whole lines before it are read"
        sink.reject(error.error_type, told, line=number, content=rest)
        number += 1

    with source.open(found.path) as stream:
        # A recorder that was killed leaves its last line cut off: that is one bad line.
        start = Peeked(stream)
        for chunk in chunks(
            cast(BinaryIO, start),
            codec=codec_of_text(start.head, found.path),
            json_lines=False,
            on_cut=reject_tail,
        ):
            lines = reader.read(chunk.text, number)
            try:
                events = books.events(lines, reader.owner)
            except tables.RefusedError:
                lines = reader.read(chunk.text, number, exactly=True)
                events = books.events(lines, reader.owner)
            _account(chunk.text, lines, sink)
            if reader.has_unnamed and given is None:
                _require_one(reader.symbols)
            trades.choose(lines)
            _give(lines, parser.exchange, sink)
            books.feed(events)
            number += lines.count
    books.finish()


def _account(text: bytes, lines: Lines, sink: "Sink") -> None:
    """Count lines, and what is said of those that give no row."""
    sink.read(count_lines(text))
    for name, count in lines.unwanted.items():
        sink.skip(f"{name}, which has no channel", count)
    if lines.answers:
        sink.skip("answers to subscriptions", lines.answers)
    if lines.other_books:
        sink.skip("the other streams of the book", lines.other_books)
    books = other_symbols = 0
    for (kind, symbol), rows in lines.rows.items():
        if kind.startswith("depth"):
            is_wanted = symbol is None or sink.symbols is None or symbol.decode() in sink.symbols
            books += len(rows) * is_wanted
            other_symbols += len(rows) * (not is_wanted)
    if other_symbols:
        sink.skip("other symbols", other_symbols)
    # A message may hold several events, and those of books are folded into the rows of books.
    events = sum(map(len, lines.rows.values())) + lines.other_books
    sink.fold(lines.with_rows - events + books)


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
        if channel == "funding_rates":
            sink.fold(-len(rows))  # the same events have given mark prices
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
            kept = rows
            if self._wanted == "aggTrade":
                kept = grouped
            elif self._wanted == "trade" and grouped:
                kept = [row for row in rows if not _is_aggregate(row)]
            if len(kept) < len(rows):
                lines.rows["trade", symbol] = kept
                self._sink.skip("the other stream of trades", len(rows) - len(kept))

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


class _BookStreams:
    """Keeps one stream of the book of each symbol, since all are of the same book."""

    def __init__(self, parser: CaptureParser, sink: "Sink") -> None:
        self._wanted = parser.book
        self._sink = sink
        self._seen: dict[bytes, str] = {}

    def choose(self, lines: Lines) -> None:
        """Leave only one of them in some lines. Raises BrokenObjectError if none is named."""
        for kind, symbol in list(lines.rows):
            if symbol is None or not kind.startswith("depth"):
                continue
            if self._wanted is not None:
                if kind != self._wanted:
                    lines.other_books += len(lines.rows.pop((kind, symbol)))
            elif kind != "depth" or any(map(_is_difference, lines.rows[kind, symbol])):
                self._require_same(symbol, kind)

    def _require_same(self, symbol: bytes, stream: str) -> None:
        if self._sink.symbols is not None and symbol.decode() not in self._sink.symbols:
            return
        seen = self._seen.setdefault(symbol, stream)
        if seen != stream:
            raise BrokenObjectError(
                "AMBIGUOUS_BOOK",
                f"{symbol.decode()} has the streams {seen} and {stream}, which are of the same "
                "book. Say which of them to land with --book",
            )


def _is_difference(row: Row) -> bool:
    """Return whether the row of a book has a first update id, as only differences have."""
    return row[3] is not None


@dataclass(frozen=True, slots=True)
class _Events:
    """Book events of some lines, by symbol."""

    rebuilt: dict[bytes, BookEvents]
    """Differences, and snapshots to begin from."""
    partial: dict[bytes, BookEvents]
    """Whole books."""


class _Books:
    """The books of a capture, by symbol.

    Differences make a book from the snapshots between them. Partial books are whole ones, as are
    the snapshots of a symbol that has nothing else: each of them is a row.
    """

    def __init__(self, parser: CaptureParser, sink: "Sink") -> None:
        self._parser = parser
        self._sink = sink
        self._streams = _BookStreams(parser, sink)
        self._rebuilt: dict[bytes, BookRebuild] = {}
        self._partial: dict[bytes, WholeBooks] = {}
        # Snapshots, and the rows they would make, as long as a symbol has no differences.
        self._polled: dict[bytes, tuple[WholeBooks, list[pa.Table]] | None] = {}
        self._unnamed: list[Row] = []  # snapshots that came before any symbol

    def events(self, lines: Lines, owner: bytes | None) -> "_Events":
        """Return the book events in some more lines.

        Raises RefusedError, and BrokenObjectError for several streams of one book.
        """
        self._streams.choose(lines)
        by_symbol = _by_symbol(lines, "depth")
        unnamed = [*self._unnamed, *lines.rows.get(("depth", None), [])]
        if owner is not None and unnamed:
            by_symbol[owner] = [*unnamed, *by_symbol.get(owner, [])]
            unnamed = []
        rebuilt = self._events_of(by_symbol)
        partial = self._events_of(
            {
                symbol: rows
                for (kind, symbol), rows in lines.rows.items()
                if kind in SPOT_PARTIAL_BOOKS and symbol is not None
            }
        )
        self._unnamed = unnamed
        return _Events(rebuilt, partial)

    def feed(self, events: "_Events") -> None:
        """Give the rows that some more events make known to the sink."""
        for symbol, of_symbol in events.rebuilt.items():
            if symbol not in self._rebuilt:
                self._rebuilt[symbol] = BookRebuild(
                    _rule(self._parser),
                    levels=self._parser.levels,
                    interval_us=self._parser.interval_ms * 1000,
                )
                self._polled[symbol] = self._whole_books(), []
            self._give(symbol, self._rebuilt[symbol].feed(of_symbol))
            if not of_symbol.is_snapshot.all():
                self._polled[symbol] = None
            polled = self._polled[symbol]
            if polled is not None:
                books, rows = polled
                rows.append(books.feed(of_symbol))
        for symbol, of_symbol in events.partial.items():
            books = self._partial.setdefault(symbol, self._whole_books())
            self._give(symbol, books.feed(of_symbol))

    def finish(self) -> None:
        """Give the last rows to the sink, and say what gave none."""
        for symbol, book in self._rebuilt.items():
            self._give(symbol, book.finish())
            if book.unused:
                self._sink.skip("depth updates without a book", book.unused)
                self._sink.fold(-book.unused)
                self._sink.note(
                    f"{symbol.decode()}: {book.unused:,} depth updates without a book, before a "
                    f"snapshot or after one of {book.gaps:,} gaps"
                )
            polled = self._polled[symbol]
            if polled is not None and symbol not in self._partial:
                books, rows = polled
                for part in (*rows, books.finish()):
                    self._give(symbol, part)
                if books.without_time:
                    self._sink.fold(-1)
                    self._sink.reject(
                        "NO_TIME",
                        f"{books.without_time} snapshots of {symbol.decode()} have neither a time "
                        "of their own nor one at which they were received",
                    )
        for symbol, books in self._partial.items():
            self._give(symbol, books.finish())
        if self._unnamed:
            self._sink.fold(-1)
            self._sink.reject(
                "UNKNOWN_SYMBOL",
                f"{len(self._unnamed)} snapshots name no symbol, and nothing else does: "
                "say of which symbol they are with --snapshots-of",
            )

    def _whole_books(self) -> WholeBooks:
        return WholeBooks(self._parser.levels, self._parser.interval_ms * 1000)

    def _events_of(self, by_symbol: dict[bytes, list[Row]]) -> dict[bytes, BookEvents]:
        by_symbol = {symbol: by_symbol[symbol] for symbol in by_symbol if self._is_wanted(symbol)}
        rows = list(chain.from_iterable(by_symbol.values()))
        events = tables.book_events(rows) if rows else BookEvents.none()
        return {symbol: events.between(begin, end) for symbol, begin, end in _spans(by_symbol)}

    def _is_wanted(self, symbol: bytes) -> bool:
        return self._sink.symbols is None or symbol.decode() in self._sink.symbols

    def _give(self, symbol: bytes, rows: pa.Table) -> None:
        """Give rows to the sink; they are made of events that count as folded."""
        self._sink.fold(-rows.num_rows)
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
