"""The captures of a command line, each an object to land."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loaders.landing import Item, Request
from loaders.source import Source, SourceObject

if TYPE_CHECKING:
    from loaders.worker import Sink

LOADER: Final = "capture"
EXCHANGES: Final = {
    "binance": "spot",
    "binance-delivery": "futures",
    "binance-futures": "futures",
}
"""The exchanges whose captures can be read, with the rule by which they number book updates."""


@dataclass(frozen=True, slots=True)
class CaptureParser:
    """Reads captures of one exchange."""

    exchange: str
    levels: int
    """Levels a side of each row of the book."""
    interval_ms: int = 0
    """Keep the last row of the book in each interval of so many milliseconds; 0 keeps all."""
    snapshot_symbol: str | None = None
    """Whose are the snapshots that name no symbol; None for the only symbol of the capture."""
    trades: str | None = None
    """Which of `trade` and `aggTrade` to land; None where no symbol has both."""
    book: str | None = None
    """Which of `depth`, `depth5`, `depth10`, `depth20` to land; None if no symbol has several."""

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read a capture. Raises BrokenObjectError."""
        from loaders.capture.reading import read_capture

        read_capture(self, source, found, sink)


def captures(
    root: str,
    files: Sequence[str],
    parser: CaptureParser,
    symbols: Sequence[str] | None = None,
    workers: int = 1,
    force: bool = False,
) -> Request:
    """Return the request for some captures, each a path or a URL."""
    items = []
    for file in sorted(set(map(_whole, files))):
        folder, _, name = file.rpartition("/")
        items.append(Item(folder or "/", name, _name(file), parser))
    options = {
        "--exchange": parser.exchange,
        "--levels": parser.levels,
        "--book-interval": parser.interval_ms,
        "--snapshots-of": parser.snapshot_symbol,
        "--trades": parser.trades,
        "--book": parser.book,
        "--symbols": ",".join(symbols or ()),
    }
    given = [f"{name} {value}" for name, value in options.items() if value]
    again = " ".join(["ticklake land capture", *given])
    return Request(root, LOADER, items, symbols, workers, force, f"{again} FILE")


def _whole(file: str) -> str:
    """Return a URL as it is, and the absolute path of a file."""
    return file if "://" in file else os.path.abspath(file)


def _name(file: str) -> str:
    """Return the name of a file and a mark of where it lies: other folders have files like it."""
    stem = file.rpartition("/")[2].removesuffix(".gz").removesuffix(".jsonl")
    return f"{stem}-{hashlib.sha256(os.fsencode(file)).hexdigest()[:8]}"
