"""Checking raw segments: those that were landed against the ledger, the others for being Parquet.

Nothing can compute a raw segment again. What is damaged has to be landed again.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import duckdb

from ticklake.lake.catalog import TableListing, columns_of
from ticklake.lake.connection import prepare, prepare_cursor
from ticklake.lake.erased_rows import Found
from ticklake.lake.erasing import erased_again
from ticklake.lake.erasures import Erasures
from ticklake.lake.paths import Key, partition_path
from ticklake.lake.planning import Selection
from ticklake.lake.raw import LedgerEntry, Segment, read_ledger, unfinished
from ticklake.lake.storage import Entry, Storage
from ticklake.lake.verifying import BLOCK, READERS, Checked, Problem

APPLY = "`ticklake erasures apply` removes them"
Ledger = Mapping[tuple[str, str], LedgerEntry]


def check_segments(
    ledger: Ledger,
    erasures: Erasures,
    storage: Storage,
    table: TableListing,
    partitions: Mapping[Key, Mapping[str, Entry]],
) -> Iterator[Checked]:
    """Read the segments of each partition, in order. None may hold what was erased."""
    landed = {segment.path: (key, entry, segment) for key, entry, segment in _landed(ledger)}
    begun = {path: key for key, paths in unfinished(storage).items() for path in paths}
    with duckdb.connect() as connection, ThreadPoolExecutor(READERS) as pool:
        prepare(connection, storage)

        def check(item: tuple[Key, Mapping[str, Entry]]) -> Checked:
            key, files = item
            size, rows, problems = 0, 0, []
            what: str | None
            for file in files.values():
                if file.path in begun:
                    what = "is of a landing that did not finish: no build reads it"
                    source, name = begun[file.path]
                    advice = f"land {name} of {source} again"
                elif file.path in landed:
                    object_key, entry, segment = landed[file.path]
                    what = _compare(storage, segment)
                    if what and read_ledger(storage, *object_key) != entry:
                        what = None  # landed again meanwhile
                    advice = _land_again(entry)
                    size, rows = size + file.size, rows + segment.rows
                else:
                    found, what = _row_count(storage, connection, file.path)
                    advice = "collect it again, or delete it: no build can read it"
                    rows += found
                if what:
                    problems.append(Problem(file.path, what, advice))
                elif erasures and (again := erased_again(storage, file.path, erasures)):
                    problems.append(Problem(file.path, _erased(again), APPLY))
            path = f"{table.location}/{partition_path(table.columns, key)}"
            return Checked(path, size, rows, tuple(problems))

        yield from pool.map(check, partitions.items())


def check_landed(ledger: Ledger, table: TableListing, selection: Selection) -> list[Problem]:
    """Find segments that the ledger knows and that are not there."""
    present = {entry.path for entry in table.entries}
    problems = []
    for _, entry, segment in _landed(ledger):
        key = table.key_of(segment.path)
        if segment.path in present or key is None or not selection.contains(table.columns, key):
            continue
        what = "is missing, and the ledger says it was landed"
        problems.append(Problem(segment.path, what, _land_again(entry)))
    return problems


def lost_tables(ledger: Ledger, tables: Sequence[TableListing]) -> list[TableListing]:
    """Return the channels that the ledger knows and of which nothing is left."""
    paths: dict[str, list[str]] = {}
    for _, _, segment in _landed(ledger):
        paths.setdefault("/".join(segment.path.split("/")[:2]), []).append(segment.path)
    known = {table.location for table in tables}
    return [
        TableListing(location, columns_of(found), ())
        for location, found in sorted(paths.items())
        if location not in known
    ]


def _landed(ledger: Ledger) -> Iterator[tuple[tuple[str, str], LedgerEntry, Segment]]:
    """Yield what is landed: an entry without a tag is of a landing that is not finished."""
    for key, entry in ledger.items():
        if entry.tag:
            for segment in entry.segments:
                yield key, entry, segment


def _erased(found: Found) -> str:
    if not found.rows:
        return f"mentions an erased wallet in {found.mentions:,} rows"
    return f"has {found.rows:,} rows of an erased wallet or symbol"


def _land_again(entry: LedgerEntry) -> str:
    return f"land {entry.object} of {entry.source} again with --force"


def _compare(storage: Storage, segment: Segment) -> str | None:
    digest, size = hashlib.sha256(), 0
    try:
        with storage.open(segment.path) as stream:
            while data := stream.read(BLOCK):
                digest.update(data)
                size += len(data)
    except FileNotFoundError:
        return "went away meanwhile"
    if size != segment.size:
        return f"has {size} bytes, not {segment.size}"
    if digest.hexdigest() != segment.sha256:
        return "does not have the hash in the ledger"
    return None


def _row_count(
    storage: Storage, connection: duckdb.DuckDBPyConnection, path: str
) -> tuple[int, str | None]:
    """Return the rows of a segment that the ledger does not know, as its footer says."""
    cursor = connection.cursor()
    prepare_cursor(cursor)
    try:
        (rows,) = cursor.execute(
            "select num_rows from parquet_file_metadata(?)", [storage.url(path)]
        ).fetchone() or (0,)
    except duckdb.Error as error:
        return 0, f"cannot be read: {str(error).splitlines()[0]}"
    return rows, None
