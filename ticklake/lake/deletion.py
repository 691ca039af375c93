"""Deleting a range of raw segments, and forgetting in the ledger that they were landed.

Every other table is a function of the raw segments: what depended on deleted ones is dropped, or
built anew from what is left, by the next build. Deleting there would only make work for it.

The ledger goes first and the segments second, and both are found by the path of the segments: a
deletion that is killed anywhere is simply done again.
"""

import json
from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import date

from ticklake.lake.catalog import TableListing, find_tables, refuse_unknown
from ticklake.lake.errors import LakeError
from ticklake.lake.lease import writing
from ticklake.lake.paths import RAW
from ticklake.lake.planning import Selection
from ticklake.lake.raw import (
    Segment,
    amend_ledger,
    forget_ledger,
    read_ledger,
    read_ledgers,
)
from ticklake.lake.storage import Entry, Storage
from ticklake.lake.tables import META


@dataclass(frozen=True)
class Deletion:
    """What a deletion would remove."""

    table: TableListing
    selection: Selection
    segments: tuple[Entry, ...]
    ledger: tuple[tuple[str, str], ...]
    """Source and name of the objects with a segment in the range, there or not."""

    @property
    def size(self) -> int:
        """Bytes of the segments."""
        return sum(entry.size for entry in self.segments)


def plan_deletion(storage: Storage, table: str, selection: Selection) -> Deletion:
    """Find what to delete of a raw channel.

    Raises LakeError for a table that is built, for a column that the channel does not have, for an
    exchange or symbol that it has nothing of, and for a part of a month where a partition is one.
    """
    listing = _raw_channel(storage, table)
    for column, names in (("exchange", selection.exchanges), ("symbol", selection.symbols)):
        if names is not None and column not in listing.columns:
            raise LakeError(
                f"{listing.name} has no partition by {column}: each of its segments holds every "
                f"{column}. Leave --{column} out to delete whole days."
            )
    if "month" in listing.columns:
        _refuse_part_of_month(listing, selection)
    segments = tuple(
        entry
        for key, files in listing.partitions().items()
        if selection.contains(listing.columns, key)
        for entry in files.values()
    )
    ledger = tuple(
        key
        for key, entry in read_ledgers(storage).items()
        if any(_is_selected(segment.path, listing, selection) for segment in entry.segments)
    )
    if not segments and not ledger:
        refuse_unknown([listing], selection)
    return Deletion(listing, selection, segments, ledger)


def carry_out(storage: Storage, deletion: Deletion) -> None:
    """Delete, as the one writer. Raises LakeError where another writer holds the lake."""
    with writing(storage, "ticklake delete") as lake:
        for source, name in deletion.ledger:
            _forget(lake, source, name, deletion)
        for entry in deletion.segments:
            lake.delete(entry.path)


def _raw_channel(storage: Storage, table: str) -> TableListing:
    """Return the listing of a raw channel; explain why a built table is none."""
    name = table.replace("/", ".")
    if name.startswith(f"{RAW}."):
        return find_tables(storage, name, (RAW,))[0]
    built = find_tables(storage, name)
    raw = sorted({each for item in built for each in _made_of(storage, item)})
    instead = " or ".join(raw) or "raw.<channel>"
    is_view = built[0].name.rpartition(".")[2] != name.rpartition(".")[2]
    raise LakeError(
        f"{name if is_view else built[0].name} is made of {instead}, so what is deleted there "
        f"comes back with the next build. Delete from {instead}: `dbt build` then drops what "
        "depended on it."
    )


def _made_of(storage: Storage, table: TableListing) -> set[str]:
    """Return the raw channels behind a table, as far as one partition of each exchange tells."""
    if table.is_raw:
        return {table.name}
    metas = {key[0]: files[META] for key, files in table.partitions().items() if META in files}
    sources = (json.loads(storage.read(meta.path))["source_files"] for meta in metas.values())
    names = {".".join(path.split("/")[:2]) for paths in sources for path in paths}
    raw = {name for name in names if name.startswith(f"{RAW}.")}
    for name in names - raw:
        for item in find_tables(storage, name):
            raw |= _made_of(storage, item)
    return raw


def _refuse_part_of_month(table: TableListing, selection: Selection) -> None:
    first, last = selection.start, selection.end
    if (first is not None and not first.endswith("-01")) or (
        last is not None and monthrange(int(last[:4]), int(last[5:7]))[1] != int(last[8:])
    ):
        start = date.fromisoformat(first).replace(day=1) if first else None
        end = date.fromisoformat(last) if last else None
        whole = " ".join(
            [
                *([f"--from {start}"] if start else []),
                *([f"--to {end.replace(day=monthrange(end.year, end.month)[1])}"] if end else []),
            ]
        )
        raise LakeError(
            f"{table.name} has one partition a month, and the range cuts through one. "
            f"Delete whole months: {whole}."
        )


def _is_selected(path: str, table: TableListing, selection: Selection) -> bool:
    key = table.key_of(path)
    return key is not None and selection.contains(table.columns, key)


def _forget(storage: Storage, source: str, name: str, deletion: Deletion) -> None:
    """Make a later landing land an object again.

    While other segments of it stay, so does its entry, without the mark of the bytes that were
    landed: what a loader compares to see that an object is landed.
    """
    entry = read_ledger(storage, source, name)
    if entry is None:
        return
    left: list[Segment] = [
        segment
        for segment in entry.segments
        if not _is_selected(segment.path, deletion.table, deletion.selection)
    ]
    if not left:
        forget_ledger(storage, source, name)
        return
    rows = sum(segment.rows for segment in left)
    amend_ledger(storage, source, name, replace(entry, segments=left, rows=rows, tag=""))
