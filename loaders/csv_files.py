"""Generic CSV: files whose columns are known by their names or by a mapping."""

import hashlib
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from loaders.landing import Item, Parser, Request
from loaders.mapping import NO_MAPPING, PARTITION, ColumnMapping
from loaders.source import Source, SourceObject
from ticklake.lake.errors import LakeError

if TYPE_CHECKING:
    from loaders.columns import Plan
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

    Raises LakeError if a file has no column for what the channel needs, or several.
    """
    parser.given()
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
    for end in (".gz", ".zst", ".zip", ".bz2", ".csv", ".parquet"):
        stem = stem.removesuffix(end)
    return f"{stem}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class CsvParser:
    """Reads rows of one channel. What is None is in columns of the file, or in the mapping."""

    channel: str
    exchange: str | None
    symbol: str | None
    interval: str | None = None
    mapping: ColumnMapping = NO_MAPPING

    def check(self, file: str) -> None:
        """Raise LakeError if a file that can be read lacks a column, or has too many for one."""
        from loaders.aliases import REQUIRED
        from loaders.columns import MissingColumnError, UnclearColumnsError
        from loaders.csv_lines import open_csv
        from loaders.decode import BrokenObjectError
        from loaders.source import open_source

        folder, base = os.path.split(os.path.abspath(os.path.expanduser(file)))
        try:
            with (
                open_source(folder).open(base) as stream,
                open_csv(stream, base, self.mapping, REQUIRED[self.channel]) as text,
            ):
                self._plan(text, folder)
        except MissingColumnError as error:
            options = [f"--{name}" for name in PARTITION if name in error.missing]
            told = f", or give {', '.join(options)}." if options else "."
            raise LakeError(f"{file}: {error}{told}") from None
        except UnclearColumnsError as error:
            raise LakeError(f"{file}: {error}.") from None
        except (BrokenObjectError, OSError):
            return  # landing says what is wrong with it, and lands the others

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read a file. Raises BrokenObjectError."""
        from loaders.agreement import Agreement
        from loaders.aliases import REQUIRED
        from loaders.columns import MissingColumnError, UnclearColumnsError, deliver
        from loaders.csv_lines import open_csv
        from loaders.decode import BrokenObjectError

        given = self.given()
        with (
            source.open(found.path) as stream,
            open_csv(stream, found.path, self.mapping, REQUIRED[self.channel]) as text,
        ):
            try:
                plan = self._plan(text, source.location)
            except MissingColumnError as error:
                raise BrokenObjectError("MISSING_COLUMN", str(error)) from None
            except UnclearColumnsError as error:
                raise BrokenObjectError("UNCLEAR_COLUMNS", str(error)) from None
            agreement = Agreement(self.channel, given, plan.given, text.names, self.mapping)
            for lines in text.lines(lambda bad: reject_line(sink, bad), sink.skip):
                where = described(lines)
                deliver(plan, lines.table, sink, given, where, agreement=agreement)
            agreement.finish()
            sink.read(text.read)

    def command(self) -> str:
        """Return the command that lands a file so, without the file."""
        options = {"channel": self.channel, **self._options()}
        words = [word for name, value in options.items() for word in (f"--{name}", value)]
        config = "" if self.mapping == NO_MAPPING else " --config MAPPING"
        return f"ticklake land csv {shlex.join(words)}{config}"

    def given(self) -> dict[str, str]:
        """Return the exchange, symbol and interval of all rows, as far as they are given.

        Raises LakeError if the mapping says something else than the options.
        """
        from loaders.agreement import agree

        options, constants = self._options(), dict(self.mapping.constants)
        for name, value in options.items():
            if name in constants and not agree(name, constants[name], value):
                raise LakeError(
                    f"--{name} is {value}, and 'constants' of the mapping says {constants[name]}. "
                    "Give one of them, or the same."
                )
        return constants | options

    def _options(self) -> dict[str, str]:
        given = {"exchange": self.exchange, "symbol": self.symbol, "interval": self.interval}
        return {name: value for name, value in given.items() if value is not None}

    def _plan(self, text: "CsvObject", folder: str) -> "Plan":
        from loaders.agreement import refuse_other_kind
        from loaders.columns import make_plan

        path = f"{os.path.basename(folder)}/{text.path}"
        refuse_other_kind(self.channel, path, text.names, self.mapping)
        given = list(self.given())
        return make_plan(self.channel, text.names, self.mapping, given=given, sample=text.sample)


def reject_line(sink: "Sink", bad: Any) -> None:
    """Set a line aside that is not a row."""
    sink.reject(bad.error_type, bad.message, line=bad.number, content=bad.content)


def described(lines: "Lines") -> Callable[[int], dict[str, Any]]:
    """Return what says where a row was, and what it held."""
    return lambda row: {"line": int(lines.numbers[row]), "content": lines.content(row)}
