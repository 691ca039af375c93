"""The views on a lake in a DuckDB file: which there are, and which tables have files for them."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import duckdb

from ticklake.lake.connection import quoted
from ticklake.lake.paths import LAYERS, RAW, partition_key
from ticklake.lake.storage import Storage
from ticklake.lake.tables import DATA, READERS, is_segment

Layout = Sequence[str]
"""Partition columns by which files lie."""


def layouts_with_files(
    storage: Storage, tables: Mapping[str, Sequence[Layout]]
) -> dict[str, list[Layout]]:
    """Return by which of its layouts each table has a file to read; tables without are left out.

    Looks no further than the first file of each layout.
    """

    def with_files(item: tuple[str, Sequence[Layout]]) -> list[Layout]:
        location, layouts = item
        left = list(layouts)
        for entry in storage.entries(location):
            folder, _, name = entry.path.removeprefix(f"{location}/").rpartition("/")
            if is_segment(name) if location.startswith(f"{RAW}/") else name == DATA:
                left = [columns for columns in left if partition_key(columns, folder) is None]
            if not left:
                break
        return [columns for columns in layouts if columns not in left]

    with ThreadPoolExecutor(READERS) as pool:
        found = zip(tables, pool.map(with_files, tables.items()), strict=True)
        return {location: layouts for location, layouts in found if layouts}


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
