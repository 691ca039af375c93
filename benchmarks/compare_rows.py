"""Whether two checkouts build the same rows from the same sources.

python -m benchmarks.compare_rows BEFORE AFTER [--real FOLDER] [--tolerance 1e-12]

Each checkout (with its own .venv) lands the files of `ticklake sample`, and with --real those of a
folder of real files, and builds its lakes. A line for each table says whether its rows are equal in
the columns that both have. The exit code is 1 where rows or types differ, or where a table or
column of BEFORE is gone.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from ticklake.commands.demo import LANDINGS, SAMPLE

SCHEMAS = ("compacted", "featured", "bars", "marts")
REAL_LANDINGS = (
    "hyperliquid --source {folder}/hl-mainnet-node-data --start 20250801 --end 20250801",
    "capture --exchange binance-futures {folder}/binance_capture/*.gz",
    "csv --channel klines --exchange binance-futures --symbol BTCUSDT --interval 1m "
    "{folder}/binance_klines/BTCUSDT-*.csv",
    "csv --channel klines --exchange binance-futures --symbol NEARUSDT --interval 1m "
    "{folder}/binance_klines/NEARUSDT-*.csv",
    "tardis {folder}/tardis_csv",
)


@dataclass
class Difference:
    """What is not the same in a table; nothing where all of it is empty."""

    gone: list[str] = field(default_factory=list)
    """Columns of BEFORE that AFTER lacks."""
    new: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    only_before: int = 0
    """Rows. A row that occurs twice counts twice, as in `except all`."""
    only_after: int = 0
    columns: list[str] = field(default_factory=list)
    """Columns whose values differ, without regard to the rows they are in."""
    largest: float | None = None
    """The largest relative difference of floats, where the rows are equal in all else."""

    def is_bad(self, tolerance: float) -> bool:
        """Tell whether this is more than new columns and floats that differ a little."""
        rows = self.only_before or self.only_after
        is_close = self.largest is not None and self.largest <= tolerance
        return bool(self.gone or self.types or (rows and not is_close))

    def __str__(self) -> str:
        parts = [
            f"{what}: {', '.join(names)}"
            for what, names in (
                ("columns gone", self.gone),
                ("new columns", self.new),
                ("types differ", self.types),
            )
            if names
        ]
        if self.only_before or self.only_after:
            rows = f"{self.only_before:,} rows only before and {self.only_after:,} only after"
            parts.append(f"{rows}, by {', '.join(self.columns) or 'how columns go together'}")
            if self.largest is not None:
                parts.append(f"floats differ by {self.largest:.1e} of their value at most")
        return "; ".join(parts) or "equal"


def main(arguments: Sequence[str]) -> int:
    """Compare all tables and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare_rows")
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--real", type=Path, metavar="FOLDER", help="real files to land as well")
    parser.add_argument(
        "--tolerance", type=float, default=0.0, help="how far floats may differ, relatively"
    )
    options = parser.parse_args(arguments)
    is_bad = False
    with tempfile.TemporaryDirectory(prefix="ticklake-compare-") as name:
        folder = Path(name)
        _run(options.before, folder, ["ticklake", "sample", "--days", "2", str(folder / SAMPLE)])
        lakes = {"sample": [text.replace(SAMPLE, str(folder / SAMPLE)) for text in LANDINGS]}
        if options.real:
            lakes["real"] = [text.format(folder=options.real.resolve()) for text in REAL_LANDINGS]
        for lake, landings in lakes.items():
            for side in ("before", "after"):
                _build(getattr(options, side).resolve(), folder / side / lake, landings)
            is_bad |= _compare(lake, folder, options.tolerance)
    return int(is_bad)


def _compare(lake: str, folder: Path, tolerance: float) -> bool:
    """Print a line for each table of a lake; tell whether something differs."""
    with (
        _opened(folder / "before" / lake) as before,
        _opened(folder / "after" / lake) as after,
    ):
        tables = {"before": _tables(before), "after": _tables(after)}
        found = []
        for table in sorted(tables["before"] | tables["after"]):
            if table not in tables["after"]:
                line, is_bad = "gone", True
            elif table not in tables["before"]:
                line, is_bad = "new", False
            else:
                rows = _rows(before, table), _rows(after, table)
                difference = compare(*rows)
                line, is_bad = str(difference), difference.is_bad(tolerance)
                line += f" ({rows[0].num_rows:,} rows before, {rows[1].num_rows:,} after)"
            found.append(is_bad)
            print(f"{'DIFFERS' if is_bad else 'ok':8s}{lake:8s}{table:32s}{line}", flush=True)
    if not found:
        print(f"DIFFERS {lake:8s}there are no tables to compare")
    return not found or any(found)


def compare(before: pa.Table, after: pa.Table) -> Difference:
    """Return how the rows of two tables differ, in whatever order they are."""
    shared = [name for name in before.column_names if name in after.column_names]
    difference = Difference(
        gone=[name for name in before.column_names if name not in shared],
        new=[name for name in after.column_names if name not in shared],
        types=[
            f"{name} ({before.schema.field(name).type} and {after.schema.field(name).type})"
            for name in shared
            if before.schema.field(name).type != after.schema.field(name).type
        ],
    )
    with duckdb.connect() as connection:
        connection.register("before", before)
        connection.register("after", after)

        def surplus(columns: Sequence[str], one: str, other: str) -> int:
            listed = _listed(columns)
            query = (
                f"select count(*) from (select {listed} from {one} "
                f"except all select {listed} from {other})"
            )
            return int(_number(connection, query))

        difference.only_before = surplus(shared, "before", "after")
        difference.only_after = surplus(shared, "after", "before")
        if difference.only_before or difference.only_after:
            difference.columns = [
                name
                for name in shared
                if surplus([name], "before", "after") or surplus([name], "after", "before")
            ]
            floats = [
                name for name in shared if pa.types.is_floating(before.schema.field(name).type)
            ]
            others = [name for name in shared if name not in floats]
            if floats and not surplus(others, "before", "after") + surplus(
                others, "after", "before"
            ):
                difference.largest = _largest(connection, others, floats)
    return difference


def _largest(
    connection: duckdb.DuckDBPyConnection, others: Sequence[str], floats: Sequence[str]
) -> float:
    """Return the largest relative difference of floats, row by row in the order of all else.

    It is infinite where one of the two is null or not a number.
    """
    numbered = "select *, row_number() over (order by {}) as place_in_order from {}"
    apart = ", ".join(
        f"""max(case
            when one."{name}" is not distinct from other."{name}" then 0
            when isfinite(one."{name}") and isfinite(other."{name}") then
                abs(one."{name}" - other."{name}")
                / greatest(abs(one."{name}"), abs(other."{name}"))
            else 'infinity'::double
        end)"""
        for name in floats
    )
    query = f"""
        select greatest({apart})
        from ({numbered.format(_listed(others), "before")}) as one
        join ({numbered.format(_listed(others), "after")}) as other using (place_in_order)
    """
    return _number(connection, query)


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> float:
    (value,) = connection.execute(query).fetchone() or (0,)
    return float(value)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _opened(folder: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(_environment(folder)["TICKLAKE_DB"], read_only=True)
    connection.execute("set timezone = 'UTC'")
    return connection


def _tables(connection: duckdb.DuckDBPyConnection) -> set[str]:
    found = connection.execute(
        "select table_schema || '.' || table_name from information_schema.tables "
        "where table_schema in (select unnest(?))",
        [list(SCHEMAS)],
    )
    return {name for (name,) in found.fetchall()}


def _rows(connection: duckdb.DuckDBPyConnection, table: str) -> pa.Table:
    return connection.sql(f"from {table}").to_arrow_table()


def _build(checkout: Path, folder: Path, landings: Sequence[str]) -> None:
    """Land sources and build every table with the code of a checkout."""
    folder.mkdir(parents=True)
    for landing in landings:
        _run(checkout, folder, ["ticklake", "land", *_expanded(landing.split())])
    for command in ("seed", "run"):
        _run(checkout, folder, ["dbt", command])


def _run(checkout: Path, folder: Path, command: Sequence[str]) -> None:
    """Run a command of a checkout in it. Prints its output and ends this program if it fails."""
    program = checkout / ".venv/bin" / command[0]
    result = subprocess.run(
        [str(program), *command[1:]],
        cwd=checkout,
        env={**os.environ, **_environment(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        sys.exit(
            f"{result.stdout}\n{' '.join(command)} in {checkout} ended with {result.returncode}."
        )


def _environment(folder: Path) -> Mapping[str, str]:
    return {
        "LAKE_ROOT": str(folder / "lake"),
        "TICKLAKE_DB": str(folder / "compare.duckdb"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }


def _expanded(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments, and the files in place of a pattern, as a shell does."""
    for argument in arguments:
        if "*" in argument:
            yield from sorted(map(str, Path("/").glob(argument.lstrip("/"))))
        else:
            yield argument


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
