"""Whether SQL is a function of the files of the lake it reads, as DuckDB's own parser sees it."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import duckdb

MAKES_ROWS = {"unnest", "range", "generate_series"}
"""Table functions that read nothing."""
READS_SESSION = {"current_setting"}
"""Functions that DuckDB calls consistent, although what they return is set elsewhere."""
ONLY_RAISES = {"error"}
"""Functions that DuckDB calls volatile, although they return nothing."""
READS_NOW_ALONE = {"age"}
"""Functions that compare with today if they have one argument."""
WORDS = {
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "localtimestamp",
    "session_user",
    "user",
}
"""Columns that DuckDB reads as functions."""


Functions = Mapping[str, Sequence[tuple[str, str | None, str | None]]]
"""What DuckDB says of the functions and macros of a name: kind, stability, definition."""


def functions_of(connection: duckdb.DuckDBPyConnection) -> Functions:
    """Return the functions of a connection. Takes 20 ms, so a run asks once."""
    found: dict[str, list[tuple[str, str | None, str | None]]] = {}
    for name, *what in connection.execute(
        "select function_name, function_type, stability, macro_definition from duckdb_functions()"
    ).fetchall():
        found.setdefault(name, []).append((what[0], what[1], what[2]))
    return found


def reads_only_the_lake(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    tables: Collection[str],
    functions: Functions,
) -> bool:
    """Say whether a query returns the same for as long as the tables of the lake are the same.

    `tables` are the lake's tables that it may name, as `schema.name`; `functions` are those of the
    connection. It may also read the files of
    a batch. It may not read clocks, random numbers, settings, files or tables of its own choice,
    directly or through a view or a macro. What cannot be parsed counts as reading something else.
    """
    return _Reader(connection, tables, functions).is_pure(query)


class _Reader:
    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        tables: Collection[str],
        functions: Functions,
    ) -> None:
        self._connection, self._tables, self._functions = connection, tables, functions
        self._seen: set[str] = set()

    def is_pure(self, query: str) -> bool:
        if query in self._seen:
            return True
        self._seen.add(query)
        (text,) = self._connection.execute(
            "select json_serialize_sql(?::varchar)", [query]
        ).fetchone() or ("{}",)
        tree = json.loads(text)
        if tree.get("error", True):
            return False
        nodes = list(_nodes(tree["statements"]))
        names = {
            item["key"].lower()
            for node in nodes
            for item in (node.get("cte_map") or {}).get("map", ())
        } | {node["cte_name"].lower() for node in nodes if node.get("cte_name")}
        return all(self._is_pure_node(node, names) for node in nodes)

    def _is_pure_node(self, node: dict[str, Any], ctes: Collection[str]) -> bool:
        if node.get("sample"):
            return False
        if node.get("type") == "BASE_TABLE":
            return self._is_pure_table(node["schema_name"], node["table_name"], ctes)
        if node.get("class") == "COLUMN_REF":
            names = node["column_names"]
            return len(names) > 1 or names[0].lower() not in WORDS
        if "function_name" in node:
            return self._is_pure_function(node["function_name"].lower(), node)
        return True

    def _is_pure_table(self, schema: str, name: str, ctes: Collection[str]) -> bool:
        if (not schema and name.lower() in ctes) or f"{schema}.{name}" in self._tables:
            return True
        found = self._connection.execute(
            """select sql from duckdb_views()
            where database_name = current_database() and view_name = ?
            and schema_name = coalesce(nullif(?, ''), 'main')""",
            [name, schema],
        ).fetchone()
        return found is not None and self.is_pure(found[0].partition(" AS ")[2].rstrip("; \n"))

    def _is_pure_function(self, name: str, node: dict[str, Any]) -> bool:
        arguments = node.get("children") or []
        if name == "getvariable":
            return _is_batch(arguments)
        if name in READS_NOW_ALONE and len(arguments) < 2:
            return False
        if name == "read_parquet":
            first = arguments[0] if arguments else {}
            return first.get("function_name") == "getvariable"
        if node.get("is_operator") or name in MAKES_ROWS | ONLY_RAISES:
            return True
        rows = self._functions.get(name, ())
        return bool(rows) and name not in READS_SESSION and all(map(self._is_consistent, rows))

    def _is_consistent(self, row: tuple[str, str | None, str | None]) -> bool:
        kind, stability, definition = row
        if kind == "table_macro" and definition:
            return self.is_pure(definition)
        if kind == "macro" and definition:
            return self.is_pure(f"select {definition}")
        return stability == "CONSISTENT"


def _is_batch(arguments: list[dict[str, Any]]) -> bool:
    value = arguments[0].get("value", {}).get("value") if arguments else None
    return isinstance(value, str) and (value.startswith("in_") or value == "closed_units")


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)
