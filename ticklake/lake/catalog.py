"""Which tables a lake has, told from its paths alone: no dbt, no manifest."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ticklake.lake.errors import LakeError
from ticklake.lake.paths import (
    BY_DAY,
    LAYERS,
    MOVED,
    RAW,
    Key,
    partition_key,
    partition_path,
    segment_key,
    spellings,
)
from ticklake.lake.planning import Selection
from ticklake.lake.storage import Entry, Storage
from ticklake.lake.tables import DATA, META, is_segment

VIEWS = {"compacted/trades": ("compacted/prints", "compacted/fill_trades")}
"""Views, each with the tables behind it. Earlier versions stored these views as tables."""
SHOWN = 20
"""Names that a message lists, at most."""


@dataclass(frozen=True)
class TableListing:
    """One table as a listing shows it."""

    location: str
    columns: tuple[str, ...]
    """The partition columns, in the order of the path."""
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """The name that SQL knows it by, for example `compacted.trades`."""
        return self.location.replace("/", ".")

    @property
    def is_raw(self) -> bool:
        """Whether loaders land it; else ticklake builds it."""
        return self.location.startswith(f"{RAW}/")

    def partitions(self) -> dict[Key, dict[str, Entry]]:
        """Return the files that belong to each partition by name, both in order.

        A folder of an earlier version may have another spelling. Then a built partition is what its
        own folder has, if that is there, and a raw one what both have: of segments with one name
        the second goes by its path.
        """
        placed = [
            (partition_path(self.columns, key) not in entry.path, entry.path, key, entry)
            for entry in self.entries
            if (key := self._key(entry)) is not None
        ]
        found: dict[Key, dict[str, Entry]] = {}
        for _, path, key, entry in sorted(placed, key=lambda item: item[:2]):
            files = found.setdefault(key, {})
            name = path.rpartition("/")[2]
            if name not in files:
                files[name] = entry
            elif self.is_raw:
                files[path] = entry
        return {key: dict(sorted(found[key].items())) for key in sorted(found)}

    def strays(self) -> list[Entry]:
        """Return the files that belong to no partition: nothing reads them."""
        return sorted(
            (entry for entry in self.entries if self._key(entry) is None),
            key=lambda entry: entry.path,
        )

    def key_of(self, path: str) -> Key | None:
        """Return the partition in whose folder a path lies."""
        folder = path.removeprefix(f"{self.location}/").rpartition("/")[0]
        if self.is_raw:
            return segment_key(self.location, self.columns, folder)
        return partition_key(self.columns, folder)

    def _key(self, entry: Entry) -> Key | None:
        name = entry.path.rpartition("/")[2]
        is_data = is_segment(name) if self.is_raw else name in (DATA, META)
        return self.key_of(entry.path) if is_data else None


def find_tables(
    storage: Storage, table: str | None = None, layers: Sequence[str] = (*LAYERS, RAW)
) -> list[TableListing]:
    """Return the tables in some layers, or those of one name: `trades` or `compacted.trades`.

    For a view, these are the tables behind it. Costs one listing of what is asked for. If no table
    has that name, raises LakeError, which names those that there are.
    """
    if table is None:
        return _tables(entry for layer in layers for entry in storage.entries(layer))
    locations = _locations(table, layers)
    found = _tables(entry for location in locations for entry in storage.entries(location))
    if layers != (RAW,):
        found = [*tables_behind(storage, table), *found]
    if not found:
        names = ", ".join(item.name for item in find_tables(storage, layers=layers))
        raise LakeError(
            f"There is no table {table!r} in {storage.root}. "
            + (
                f"It has {names}. Views are not stored: `ticklake sql` reads them."
                if names
                else "It has none yet: land data, then `dbt build`."
            )
        )
    return found


def find_table(
    storage: Storage, table: str, values: Mapping[str, str] | None = None
) -> TableListing:
    """Return the table of a name. A raw channel has to be named in full, as `raw.trades`.

    With `values` of leading partition columns only partitions that have them need be listed; all
    are where there is none.
    """
    layer = table.replace("/", ".").rpartition(".")[0]
    firsts = {
        location: first
        for location in _locations(table, (RAW,) if layer == RAW else LAYERS)
        if (first := next(iter(storage.entries(location)), None))
    }
    if len(firsts) > 1:
        names = " and ".join(location.replace("/", ".") for location in firsts)
        raise LakeError(f"{table!r} is the name of {names}. Say which.")
    for location, first in firsts.items():
        prefixes = [location]
        for column in columns_of([first.path]):
            if column not in (values or {}) or (location in MOVED and column not in BY_DAY):
                break
            folders = spellings(column, (values or {})[column])
            prefixes = [f"{prefix}/{folder}" for prefix in prefixes for folder in folders]
        narrow = _tables(entry for prefix in prefixes for entry in storage.entries(prefix))
        if narrow and narrow[0].partitions():
            return narrow[0]
    return find_tables(storage, table, (RAW,) if layer == RAW else LAYERS)[0]


def tables_behind(
    storage: Storage, view: str, values: Mapping[str, str] | None = None
) -> list[TableListing]:
    """Return the tables behind a view that have something: those of `trades`, for example.

    There is none for other names, and where an earlier version has stored what is a view now.
    """
    for location in _locations(view, LAYERS):
        if location in VIEWS and not next(iter(storage.entries(location)), None):
            behind = [name for name in VIEWS[location] if next(iter(storage.entries(name)), None)]
            return [find_table(storage, name, values) for name in behind]
    return []


def refuse_unknown(tables: Sequence[TableListing], selection: Selection) -> None:
    """Tell a slip of the pen from a range in which there is nothing.

    Raises LakeError for an exchange or symbol of which none of these tables has anything, naming
    those there are. A table that is not stored by them refuses nothing.
    """
    asked = {"exchange": selection.exchanges, "symbol": selection.symbols}
    wanted = {column: names for column, names in asked.items() if names is not None}
    where = tables[0].name if len(tables) == 1 else "The lake"
    keys = [
        dict(zip(table.columns, key, strict=True))
        for table in (tables if wanted else ())
        for key in table.partitions()
    ]
    for column, names in wanted.items():
        there = sorted({key[column] for key in keys if column in key})
        if not there:
            continue
        if unknown := sorted(names.difference(there)):
            raise LakeError(
                f"{where} has no {column} {', '.join(unknown)}. It has {listed(there)}."
            )
        keys = [key for key in keys if key.get(column) in (None, *names)]


def listed(names: Sequence[str]) -> str:
    """Return names separated by commas: the first SHOWN, and how many more there are."""
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _locations(table: str, layers: Sequence[str]) -> list[str]:
    """Return where a table may lie: `trades` in any of some layers, `compacted.trades` in its."""
    layer, _, name = table.replace("/", ".").rpartition(".")
    return [f"{each}/{name}" for each in layers if name and layer in ("", each)]


def _tables(entries: Iterable[Entry]) -> list[TableListing]:
    by_location: dict[str, list[Entry]] = {}
    for entry in entries:
        layer, name, *below = entry.path.split("/")
        if below and not name.startswith("_"):
            by_location.setdefault(f"{layer}/{name}", []).append(entry)
    return [
        TableListing(location, columns_of(entry.path for entry in found), tuple(found))
        for location, found in sorted(by_location.items())
    ]


def columns_of(paths: Iterable[str]) -> tuple[str, ...]:
    """Return the partition columns that most of a table's paths have.

    Of a table that lay by symbol before: those it has now, if any path has them.
    """
    location = ""
    counts: Counter[tuple[str, ...]] = Counter()
    for path in paths:
        layer, name, *folders, _ = path.split("/")
        location = f"{layer}/{name}"
        if folders and all("=" in folder for folder in folders):
            counts[tuple(folder.partition("=")[0] for folder in folders)] += 1
    if location in MOVED and BY_DAY in counts:
        return BY_DAY
    return max(sorted(counts), key=counts.__getitem__, default=())
