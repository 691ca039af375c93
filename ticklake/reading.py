"""Reading a table of the lake from Python."""

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Final, Literal, overload

if TYPE_CHECKING:
    import duckdb
    import polars

    from ticklake.lake.catalog import TableListing
    from ticklake.lake.planning import Selection
    from ticklake.lake.storage import Entry, Storage

When = str | date | datetime
Names = str | Iterable[str]


@overload
def read(
    table: str, *, exchange: Names | None = None, symbol: Names | None = None,
    start: When | None = None, end: When | None = None, columns: Sequence[str] | None = None,
    as_: Literal["duckdb"] = "duckdb", root: str | None = None,
    connection: "duckdb.DuckDBPyConnection | None" = None,
) -> "duckdb.DuckDBPyRelation": ...  # fmt: skip


@overload
def read(
    table: str, *, exchange: Names | None = None, symbol: Names | None = None,
    start: When | None = None, end: When | None = None, columns: Sequence[str] | None = None,
    as_: Literal["polars"], root: str | None = None,
    connection: "duckdb.DuckDBPyConnection | None" = None,
) -> "polars.DataFrame": ...  # fmt: skip


def read(
    table: str,
    *,
    exchange: Names | None = None,
    symbol: Names | None = None,
    start: When | None = None,
    end: When | None = None,
    columns: Sequence[str] | None = None,
    as_: Literal["duckdb", "polars"] = "duckdb",
    root: str | None = None,
    connection: "duckdb.DuckDBPyConnection | None" = None,
) -> "duckdb.DuckDBPyRelation | polars.DataFrame":
    """Return rows of a table: `read("trades", symbol="BTC", start="2025-08-01", end="2025-08-02")`.

    Only partitions in range are opened. Rows come as they are stored: partition after partition by
    exchange, symbol (if a partition has one) and date, and within each in the order of the table;
    `trades`, if both of the tables behind it have some in range, by exchange, symbol, date and
    trade_seq. A range without rows gives the columns and no row.

    - `table` is `trades` or `compacted.trades`; raw segments are read as `raw.trades`.
    - `exchange` and `symbol` are one name or several.
    - `start` and `end` are days or instants, as text (ISO 8601) or Python objects. A day counts
      whole, the last one included. An instant bounds the table's time column (`ts_event`, or
      `ts_open` of bars), from `start` and up to but not including `end`; without a zone it is UTC.
    - `as_` is "duckdb" for a relation, which reads when it is asked for rows, or "polars" for a
      DataFrame. (A LazyFrame is `read(...).pl(lazy=True)`.)
    - `root` is the lake, by default LAKE_ROOT or ./lake. Relations of one lake share a connection,
      so that they can be joined; threads need a `connection` each.

    Raises LakeError for a table or column that is not there, naming those that are, and for a start
    after the end.
    """
    import duckdb

    from ticklake.lake.catalog import find_table, tables_behind
    from ticklake.lake.connection import prepare, refresh_secret
    from ticklake.lake.errors import LakeError
    from ticklake.lake.root import open_lake

    if as_ not in ("duckdb", "polars"):
        raise LakeError(f'as_ is "duckdb" or "polars", not {as_!r}.')
    storage = open_lake(root or os.environ.get("LAKE_ROOT") or "./lake")
    if connection is None:
        connection = _connection(storage.root)
        refresh_secret(connection, storage)
    else:
        prepare(connection, storage)
    bounds = (_When(start, is_end=False), _When(end, is_end=True))
    if bounds[0].is_after(bounds[1]):
        raise LakeError(f"start {start} is after end {end}: no row lies between them.")
    wanted = {
        column: {names} if isinstance(names, str) else set(names)
        for column, names in (("exchange", exchange), ("symbol", symbol))
        if names is not None
    }
    single = {column: next(iter(names)) for column, names in wanted.items() if len(names) == 1}
    behind = tables_behind(storage, table, single)
    name = table
    if behind:
        query = _query_of_view(storage, behind, wanted, bounds, columns)
    else:
        listing = find_table(storage, table, single)
        name = listing.name
        query = _query(storage, listing, wanted, bounds, columns)
    try:
        relation = connection.sql(query)
    except duckdb.BinderException as error:
        raise LakeError(f"{name} cannot be read like that: {error}") from None
    return relation.pl() if as_ == "polars" else relation


class _When:
    """One end of a range: the day for choosing partitions, the instant for choosing rows."""

    def __init__(self, when: When | None, *, is_end: bool) -> None:
        from ticklake.lake.errors import LakeError

        if isinstance(when, str):
            try:
                read_it = date if len(when) <= len("2025-08-01") else datetime
                when = read_it.fromisoformat(when)
            except ValueError:
                raise LakeError(
                    f"{when!r} is no day like 2025-08-01 and no instant like 2025-08-01T12:00."
                ) from None
        self.instant: datetime | None = None
        self.day: str | None = None
        self.is_whole_day = not isinstance(when, datetime)
        if isinstance(when, datetime):
            self.instant = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
            last = self.instant - timedelta(microseconds=1) if is_end else self.instant
            self.day = last.date().isoformat()
        elif when is not None:
            self.instant = datetime.combine(when, time(), UTC) + timedelta(days=is_end)
            self.day = when.isoformat()

    def is_after(self, end: "_When") -> bool:
        """Say whether this start lies after an end."""
        if self.instant is None or end.instant is None:
            return False
        # The end of a day is the instant after it; from and to one instant is a range of nothing.
        return self.instant > end.instant or (end.is_whole_day and self.instant == end.instant)


@cache
def _connection(root: str) -> "duckdb.DuckDBPyConnection":
    """Return the one connection of this process to a lake."""
    import duckdb

    from ticklake.lake.connection import prepare, reach
    from ticklake.lake.storage import open_storage

    connection = duckdb.connect()
    storage = open_storage(root)
    reach(storage)
    prepare(connection, storage)
    return connection


TRADES: Final = {
    "exchange": "varchar",
    "symbol": "varchar",
    "date": "date",
    "trade_seq": "bigint",
    "ts_event": "timestamptz",
    "ts_capture": "timestamptz",
    "trade_id": "varchar",
    "price": "decimal(38, 12)",
    "size": "decimal(38, 12)",
    "side": "varchar",
    "first_id": "bigint",
    "last_id": "bigint",
    "taker_user": "varchar",
    "maker_user": "varchar",
    "block_number": "bigint",
    "is_liquidation": "boolean",
    "leg_count": "bigint",
}
"""The columns of the view `trades`, as `models/compacted/trades.sql` makes them."""


def _query_of_view(
    storage: "Storage",
    tables: Sequence["TableListing"],
    wanted: dict[str, set[str]],
    bounds: tuple[_When, _When],
    columns: Sequence[str] | None,
) -> str:
    """Return SQL for the rows asked for of `trades`, which some tables have together."""
    nothing = ", ".join(f'cast(null as {kind}) as "{name}"' for name, kind in TRADES.items())
    parts = [f"select {nothing} where false"]
    for table in tables:
        parts.append(_query(storage, table, wanted, bounds, None))
    selection = _selection(wanted, bounds)
    in_range = [
        table
        for table in tables
        if any(selection.contains(table.columns, key) for key in table.partitions())
    ]
    listed = ", ".join(f'"{column}"' for column in columns or ())
    order = "order by exchange, symbol, date, trade_seq" if len(in_range) > 1 else ""
    return f"select {listed or '*'} from ({' union all by name '.join(parts)}) {order}"


def _selection(wanted: dict[str, set[str]], bounds: tuple[_When, _When]) -> "Selection":
    from ticklake.lake.planning import Selection

    start, end = bounds
    return Selection(
        start=start.day,
        end=end.day,
        exchanges=frozenset(wanted["exchange"]) if "exchange" in wanted else None,
        symbols=frozenset(wanted["symbol"]) if "symbol" in wanted else None,
    )


def _query(
    storage: "Storage",
    table: "TableListing",
    wanted: dict[str, set[str]],
    bounds: tuple[_When, _When],
    columns: Sequence[str] | None,
) -> str:
    """Return SQL for the rows asked for."""
    from ticklake.lake.connection import quoted
    from ticklake.lake.paths import path_values

    start, end = bounds
    selection = _selection(wanted, bounds)
    partitions = table.partitions()
    everything = [file for files in partitions.values() for file in _data(files.values())]
    chosen = [
        file
        for key, files in partitions.items()
        if selection.contains(table.columns, key)
        for file in _data(files.values())
    ]
    conditions = [
        f'"{column}" in ({", ".join(map(quoted, sorted(names)))})'
        for column, names in wanted.items()
        if column not in table.columns
    ]
    instants = [
        (sign, bound.instant)
        for sign, bound in ((">=", start), ("<", end))
        if bound.instant and not (bound.is_whole_day and "date" in table.columns)
    ]
    if instants:
        column = _time_column(storage, table)
        conditions += [
            f"\"{column}\" {sign} timestamptz '{instant.isoformat()}'" for sign, instant in instants
        ]
    if not chosen:
        conditions.append("false")  # one file for its columns
    files: dict[tuple[str, ...], list[str]] = {}
    for file in chosen or everything[:1]:  # raw segments may lie by symbol or not
        files.setdefault(tuple(path_values(file.path)), []).append(storage.url(file.path))
    rows = " union all by name ".join(
        f"from {_files(urls, by, is_raw=table.is_raw)}" for by, urls in files.items()
    )
    keys = ", ".join(f'"{column}"' for column in table.columns)
    listed = ", ".join(f'"{column}"' for column in columns or ())
    return f"""
        select {listed or f"{keys}, * exclude ({keys})"}
        from ({rows})
        {"where " + " and ".join(conditions) if conditions else ""}"""


def _files(urls: Sequence[str], columns: Sequence[str], *, is_raw: bool) -> str:
    """Return SQL that reads files which lie by the same partition columns."""
    from ticklake.lake.connection import quoted

    kinds = ", ".join(
        f"'{column}': '{'date' if column == 'date' else 'varchar'}'" for column in columns
    )
    return (
        f"read_parquet([{', '.join(map(quoted, urls))}], hive_partitioning = true, "
        f"hive_types = {{{kinds}}}, union_by_name = {str(is_raw).lower()})"
    )


def _data(files: Iterable["Entry"]) -> list["Entry"]:
    return [file for file in files if file.path.endswith(".parquet")]


def _time_column(storage: "Storage", table: "TableListing") -> str:
    """Return the column that instants bound, as the newest meta file names it."""
    import json

    from ticklake.lake.errors import LakeError
    from ticklake.lake.tables import META

    if table.is_raw:
        return "open_time" if table.location == "raw/klines" else "ts_event"
    metas = [files[META] for files in table.partitions().values() if META in files]
    column = json.loads(storage.read(metas[-1].path)).get("time_column") if metas else "ts_event"
    if column is None:
        raise LakeError(f"{table.name} has no time column: give days, not instants.")
    return str(column)
