"""Files of Tardis data sets, wherever they lie."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from loaders.csv_files import file_items
from loaders.landing import Request
from loaders.source import Source, SourceObject
from ticklake.lake.errors import LakeError

if TYPE_CHECKING:
    from loaders.csv_lines import CsvObject
    from loaders.tardis.kinds import Kind
    from loaders.worker import Sink

LOADER: Final = "tardis"
ENDS: Final = (".csv", ".csv.gz", ".csv.zst")


@dataclass(frozen=True, slots=True)
class TardisParser:
    """Reads a file of any data type."""

    levels: int = 25
    """Levels a side of a book that is rebuilt from its changes."""
    data_type: str | None = None
    """What the files hold; None if their names or columns say it."""

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read a file. Raises BrokenObjectError."""
        from loaders.csv_lines import open_csv
        from loaders.decode import Peeked, codec_of_text, open_text
        from loaders.tardis.books import BookReader
        from loaders.tardis.kinds import INCREMENTAL, kind_of, named_kind

        with source.open(found.path) as stream:
            head = Peeked(stream)
            start = open_text(cast(BinaryIO, head), codec_of_text(head.head, found.path))
            if found.size and not start.read(1) and start.cut is None:
                sink.note("Tardis has no data for this day: the file is empty")
                return
        asked = named_kind(self.data_type) if self.data_type else None
        with source.open(found.path) as stream, open_csv(stream, found.path) as text:
            kind = kind_of(text.names, f"{source.location}/{found.path}", asked)
            if kind is INCREMENTAL:
                BookReader(sink, self.levels).read(text)
            elif kind.targets:
                _deliver(text, kind, sink)
            else:
                _leave_out(text, kind, sink)


def tardis_request(
    root: str,
    paths: Sequence[str],
    levels: int,
    symbols: Sequence[str] | None = None,
    workers: int = 1,
    force: bool = False,
    data_type: str | None = None,
) -> Request:
    """Return the request for some files, and all files below some directories.

    Raises LakeError for a `data_type` that Tardis does not have or the lake has no channel for.
    """
    if data_type is not None:
        check_data_type(data_type)
    parser = TardisParser(levels, data_type)
    items = file_items(list(_files(paths)), lambda _: parser)
    options = {"--levels": levels, "--data-type": data_type, "--symbols": ",".join(symbols or ())}
    given = [f"{name} {value}" for name, value in options.items() if value]
    again = " ".join(["ticklake land tardis", *given, "FILE"])
    return Request(root, LOADER, items, symbols, workers, force, again)


def check_data_type(name: str) -> None:
    """Raise LakeError if files of a data type of Tardis cannot be landed."""
    from loaders.tardis.kinds import INCREMENTAL, KINDS, named_kind

    kind = named_kind(name)
    if kind is None or not (kind.targets or kind is INCREMENTAL):
        known = [kind.name for kind in KINDS if kind.targets or kind is INCREMENTAL]
        raise LakeError(
            f"Tardis's {name} cannot be landed: the lake has no channel for it. "
            f"These can be: {', '.join(known)}."
        )


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


def _deliver(text: "CsvObject", kind: "Kind", sink: "Sink") -> None:
    import numpy as np
    import pyarrow.compute as pc

    from loaders.columns import deliver
    from loaders.csv_files import described, reject_line

    plans = kind.plans(text.names)
    for lines in text.lines(lambda bad: reject_line(sink, bad), sink.skip):
        uses = np.zeros(len(lines.numbers), np.int64)
        for target, plan in plans:
            chosen = lines
            if target.present:
                flags = [pc.is_valid(lines.table[name]) for name in target.present]
                is_present = (flags[0] if len(flags) == 1 else pc.or_(*flags)).to_numpy()
                chosen = lines.where(is_present)
                uses += is_present
            else:
                uses += 1
            deliver(plan, chosen.table, sink, {}, described(chosen))
        unused = int(np.count_nonzero(uses == 0))
        if unused:
            sink.skip("rows without a value that has a channel", unused)
        sink.fold(len(uses) - unused - int(uses.sum()))  # a line may give rows of two channels
    sink.read(text.read)


def _leave_out(text: "CsvObject", kind: "Kind", sink: "Sink") -> None:
    """Count the rows of a kind without a channel."""
    from loaders.csv_files import reject_line

    lines = text.lines(lambda bad: reject_line(sink, bad), sink.skip)
    count = sum(len(some.numbers) for some in lines)
    sink.read(text.read)
    sink.skip(f"{kind.name}, which have no channel", count)
    sink.note(f"{count:,} rows of {kind.name} are not landed: the lake has no channel for them")
