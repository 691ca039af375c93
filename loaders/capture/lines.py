"""Reading the lines of a capture, chunk by chunk: the fast way where it can be, else exactly."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from loaders.capture.fields import FaultError, Kind, Row
from loaders.capture.records import UnwantedError, read_line
from loaders.capture.shapes import Shape, learn
from ticklake.microstructure.book_rebuild import SequenceRule

SHAPES_TRIED: Final = 64
"""Lines that a shape is made from at most: a capture has about one a stream."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that could not be used."""

    error_type: str
    message: str
    number: int
    line: bytes


@dataclass(slots=True)
class Lines:
    """What some lines hold."""

    count: int = 0
    """All lines, blank ones too."""
    with_rows: int = 0
    """Lines that gave rows."""
    rows: dict[tuple[Kind, bytes | None], list[Row]] = field(
        default_factory=lambda: defaultdict(list)
    )
    """By kind and symbol, in order of arrival. Without a symbol: snapshots before the first one."""
    rejects: list[Reject] = field(default_factory=list)
    extra: Counter[str] = field(default_factory=Counter)
    unwanted: Counter[str] = field(default_factory=Counter)
    """Lines of events without a channel, by the name of the event."""
    other_books: int = 0
    """Rows of streams of the book that are not asked for."""
    answers: int = 0
    """Answers to subscriptions, which hold no data."""


class LineReader:
    """Reads lines, and learns how they are written.

    A snapshot without a symbol is one of `owner`: the symbol given, or else the first one read.
    """

    def __init__(self, rule: SequenceRule, owner: bytes | None = None) -> None:
        self.owner = owner
        self.symbols: set[bytes] = set()
        """All symbols read so far."""
        self.has_unnamed = False
        """Whether a snapshot had no symbol."""
        self._rule = rule
        self._shapes: list[Shape] = []
        self._tried = 0

    def read(self, text: bytes, first: int, *, exactly: bool = False) -> Lines:
        """Read whole lines, the first of which has the number `first`."""
        lines = Lines()
        rows = lines.rows
        shapes = [] if exactly else self._shapes
        seen = {id(shape): shape.matches for shape in shapes}
        numbered = text.split(b"\n")
        if not numbered[-1]:
            numbered.pop()
        for number, line in enumerate(numbered, first):
            for shape in shapes:
                row = shape.read(line)
                if row is not None:
                    lines.with_rows += 1
                    rows[shape.kind, row[0]].append(row)
                    break
            else:
                self._read_exactly(line, number, lines)
        for shape in shapes:
            matches = shape.matches - seen.get(id(shape), 0)
            lines.extra.update({_counted(shape.kind, name): matches for name in shape.names})
        self._shapes.sort(key=lambda shape: -shape.matches)  # the commonest is tried first
        self.symbols.update(symbol for _, symbol in rows if symbol is not None)
        self.owner = self.owner or _first_symbol(lines)
        lines.count = len(numbered)
        return lines

    def _read_exactly(self, line: bytes, number: int, lines: Lines) -> None:
        if not line.strip():
            return
        try:
            records = read_line(line, self._rule)
        except UnwantedError as unwanted:
            lines.unwanted[str(unwanted)] += 1
            return
        except FaultError as fault:
            lines.rejects.append(Reject(fault.error_type, str(fault), number, line))
            return
        lines.answers += not records
        lines.with_rows += bool(records)
        for record in records:
            symbol = record.symbol
            if symbol is None:
                self.has_unnamed = True
                symbol = self.owner or _first_symbol(lines)
            lines.rows[record.kind, symbol].append(record.row)
            lines.extra.update(_counted(record.kind, name) for name in record.extra)
        if len(records) == 1 and self._tried < SHAPES_TRIED:
            self._tried += 1
            shape = learn(line, records[0])
            if shape is not None and shape not in self._shapes:
                self._shapes.append(shape)


def _first_symbol(lines: Lines) -> bytes | None:
    return next((symbol for _, symbol in lines.rows if symbol is not None), None)


def _counted(kind: Kind, name: str) -> str:
    """Return how a field of `extra` is counted. A row of the book is no event, and keeps none."""
    return f"{name} of depthUpdate (not kept)" if kind.startswith("depth") else name
