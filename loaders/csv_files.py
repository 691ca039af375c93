"""Generic CSV: files whose columns are known by their names or by a mapping."""

import hashlib
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loaders.landing import Item, Parser, Request
from loaders.mapping import NO_MAPPING, ColumnMapping
from loaders.source import Source, SourceObject
from ticklake.lake.errors import LakeError

if TYPE_CHECKING:
    from loaders.csv_lines import CsvObject, Lines
    from loaders.worker import Sink

LOADER: Final = "csv"


def csv_request(
    root: str,
    files: Sequence[str],
    parser: "CsvParser",
    workers: int = 1,
    force: bool = False,
) -> Request:
    """Return the request for some files.

    Raises LakeError where a file has no column for what the channel needs.
    """
    for file in files:
        parser.check(file)
    items = file_items(files, lambda file: parser)
    return Request(root, LOADER, items, None, workers, force, f"{parser.command()} FILE")


def file_items(files: Sequence[str], parser_of: Callable[[str], Parser]) -> list[Item]:
    """Return the items of local files: files with one name in several folders are told apart."""
    items: dict[str, Item] = {}
    for file in files:
        path = os.path.abspath(os.path.expanduser(file))
        folder, base = os.path.split(path)
        if path in items:
            raise LakeError(f"The file {path} was given twice.")
        items[path] = Item(folder, base, file_name(path), parser_of(path))
    return list(items.values())


def file_name(path: str) -> str:
    """Return the name of the segments of a file: its stem and a mark of where it lies."""
    stem = os.path.basename(path)
    for end in (".gz", ".zst", ".csv", ".parquet"):
        stem = stem.removesuffix(end)
    return f"{stem}-{hashlib.sha256(path.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class CsvParser:
    """Reads rows of one channel. What is None is in columns of the file."""

    channel: str
    exchange: str | None
    symbol: str | None
    interval: str | None = None
    mapping: ColumnMapping = NO_MAPPING

    def check(self, file: str) -> None:
        """Raise LakeError where a file that can be read lacks a column."""
        from loaders.columns import MissingColumnError
        from loaders.decode import BrokenObjectError
        from loaders.source import open_source

        folder, base = os.path.split(os.path.abspath(os.path.expanduser(file)))
        try:
            with open_source(folder).open(base) as stream:
                self._open(stream, base)
        except MissingColumnError as error:
            options = [f"--{name}" for name in ("exchange", "symbol", "interval")]
            options = [name for name in options if name[2:] in error.missing]
            told = f", or give {', '.join(options)}." if options else "."
            raise LakeError(f"{file}: {error}{told}") from None
        except (BrokenObjectError, OSError):
            return  # landing tells what is wrong with it, and lands the others

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read a file. Raises BrokenObjectError."""
        from loaders.columns import MissingColumnError, deliver
        from loaders.decode import BrokenObjectError

        one = _OneValue(self._given())
        with source.open(found.path) as stream:
            try:
                text, plan, given = self._open(stream, found.path)
            except MissingColumnError as error:
                raise BrokenObjectError("MISSING_COLUMN", str(error)) from None
            for lines in text.lines(lambda bad: reject_line(sink, bad)):
                one.check(lines.table)
                deliver(plan, lines.table, sink, given, described(lines))

    def command(self) -> str:
        """Return the command that lands a file so, without the file."""
        options = {"channel": self.channel, **self._given()}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        config = "" if self.mapping == NO_MAPPING else " --config MAPPING"
        return f"ticklake land csv {shlex.join(words)}{config}"

    def _given(self) -> dict[str, str]:
        given = {"exchange": self.exchange, "symbol": self.symbol, "interval": self.interval}
        return {name: value for name, value in given.items() if value is not None}

    def _open(self, stream: Any, path: str) -> "tuple[CsvObject, Any, dict[str, str]]":
        from loaders.columns import make_plan
        from loaders.csv_lines import CsvObject
        from loaders.decode import codec_of

        given = self._given()
        text = CsvObject(stream, codec_of(path), self.mapping.header)
        plan = make_plan(self.channel, text.names, self.mapping, given=list(given))
        return text, plan, given


class _OneValue:
    """Refuses a file of several symbols, or of another, that the caller takes for a file of one."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._symbol = given.get("symbol", "")
        self._seen: dict[str, set[str]] = {name: set() for name in given}

    def check(self, table: Any) -> None:
        from loaders.columns import plain
        from loaders.decode import BrokenObjectError

        for name, seen in self._seen.items():
            if name not in table.column_names:
                continue
            seen.update(table[name].unique().drop_null().to_pylist())
            if len(seen) > 1:
                listed = ", ".join(sorted(seen)[:5])
                raise BrokenObjectError(
                    f"SEVERAL_{name.upper()}S",
                    f"its column {name!r} has several values ({listed}). Leave out --{name}, and "
                    "each row is landed by its own",
                )
            # Venues are known by several names; a symbol has one, but for its spelling.
            if name == "symbol" and any(plain(value) != plain(self._symbol) for value in seen):
                raise BrokenObjectError(
                    "OTHER_SYMBOL",
                    f"its column 'symbol' says {min(seen)}, and --symbol {self._symbol}. Leave out "
                    f"--symbol to land it as {min(seen)}",
                )


def reject_line(sink: "Sink", bad: Any) -> None:
    """Set a line aside that is no row."""
    sink.reject(bad.error_type, bad.message, line=bad.number, content=bad.content)


def described(lines: "Lines") -> Callable[[int], dict[str, Any]]:
    """Return what says where a row was, and what it held."""
    return lambda row: {"line": int(lines.numbers[row]), "content": lines.content(row)}
