"""The views on a lake in a DuckDB file: which there are, and which tables have files for them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import duckdb

from ticklake.lake.connection import quoted
from ticklake.lake.paths import LAYERS, RAW, partition_key
from ticklake.lake.storage import Storage
from ticklake.lake.tables import DATA, READERS, RawTable


def tables_with_files(storage: Storage, tables: Mapping[str, Sequence[str]]) -> set[str]:
    """Return those of some tables (location -> partition columns) that have a file to read.

    Looks no further than the first file of each.
    """

    def has_files(item: tuple[str, Sequence[str]]) -> bool:
        location, columns = item
        if location.startswith(f"{RAW}/"):
            return RawTable(storage, location, columns).has_segments()
        for entry in storage.entries(location):
            folder, _, name = entry.path.removeprefix(f"{location}/").rpartition("/")
            if name == DATA and partition_key(columns, folder) is not None:
                return True
        return False

    with ThreadPoolExecutor(READERS) as pool:
        found = zip(tables, pool.map(has_files, tables.items()), strict=True)
        return {location for location, has in found if has}


def lake_views(connection: duckdb.DuckDBPyConnection, storage: Storage) -> dict[str, bool]:
    """Return the views that read this lake, or no file: location -> whether they read files.

    A view that reads another lake is left out.
    """
    found = {}
    for location, sql in _views(connection):
        if "read_parquet(" not in sql:
            found[location] = False
        elif f"({quoted(storage.url(location))[:-1]}/" in sql:
            found[location] = True
    return found


def views_of_another_lake(connection: duckdb.DuckDBPyConnection, storage: Storage) -> list[str]:
    """Return the tables of a lake whose views in a DuckDB file read another lake than this one."""
    ours = lake_views(connection, storage)
    return sorted(
        location
        for location, _ in _views(connection)
        if location not in ours and location.partition("/")[0] in (*LAYERS, RAW)
    )


def _views(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return the location of the table behind each view, with its SQL."""
    return connection.execute(
        """select schema_name || '/' || view_name, sql from duckdb_views()
        where not internal and database_name = current_database()"""
    ).fetchall()
