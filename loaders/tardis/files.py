"""Files of Tardis data sets, wherever they lie."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from loaders.csv_files import file_items
from loaders.landing import Request
from loaders.source import Source, SourceObject
from ticklake.lake.errors import LakeError

if TYPE_CHECKING:
    from loaders.csv_lines import CsvObject
    from loaders.worker import Sink

LOADER: Final = "tardis"
ENDS: Final = (".csv", ".csv.gz", ".csv.zst")


@dataclass(frozen=True, slots=True)
class TardisParser:
    """Reads a file of any kind; its header says which."""

    levels: int = 25
    """Levels a side of a book that is rebuilt from its changes."""

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read a file. Raises BrokenObjectError."""
        from loaders.csv_lines import CsvObject
        from loaders.decode import codec_of
        from loaders.tardis.books import BookReader
        from loaders.tardis.kinds import INCREMENTAL, kind_of

        with source.open(found.path) as stream:
            text = CsvObject(stream, codec_of(found.path))
            kind = kind_of(text.names)
            if kind is INCREMENTAL:
                BookReader(sink, self.levels).read(text)
            else:
                _deliver(text, sink)


def tardis_request(
    root: str,
    paths: Sequence[str],
    levels: int,
    symbols: Sequence[str] | None = None,
    workers: int = 1,
    force: bool = False,
) -> Request:
    """Return the request for some files, and all files below some directories."""
    parser = TardisParser(levels)
    items = file_items(list(_files(paths)), lambda _: parser)
    narrowed = f" --symbols {','.join(symbols)}" if symbols else ""
    again = f"ticklake land tardis --levels {levels}{narrowed} FILE"
    return Request(root, LOADER, items, symbols, workers, force, again)


def _files(paths: Sequence[str]) -> Iterator[str]:
    for path in paths:
        if not os.path.isdir(path):
            yield path
            continue
        below = sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(path)
            for name in names
            if name.endswith(ENDS)
        )
        if not below:
            raise LakeError(f"There is no {', '.join(ENDS)} file below {path}.")
        yield from below


def _deliver(text: "CsvObject", sink: "Sink") -> None:
    import pyarrow.compute as pc

    from loaders.columns import deliver
    from loaders.csv_files import described, reject_line
    from loaders.tardis.kinds import kind_of

    plans = kind_of(text.names).plans(text.names)
    for lines in text.lines(lambda bad: reject_line(sink, bad)):
        for target, plan in plans:
            chosen = lines
            if target.present:
                flags = [pc.is_valid(lines.table[name]) for name in target.present]
                is_present = flags[0] if len(flags) == 1 else pc.or_(*flags)
                chosen = lines.where(is_present.to_numpy())
            deliver(plan, chosen.table, sink, {}, described(chosen))
