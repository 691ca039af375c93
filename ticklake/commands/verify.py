"""`ticklake verify`: does the lake hold what it says it holds?"""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING

import click

from ticklake.commands.dates import DAY, refuse_backwards
from ticklake.commands.dbt import run_models_only
from ticklake.lake.errors import LakeError
from ticklake.lake.root import lake_root

if TYPE_CHECKING:
    from ticklake.lake.planning import Selection
    from ticklake.lake.storage import Storage
    from ticklake.lake.verifying import Problem


@click.command()
@click.option("--table", help="Only this table: trades, or compacted.trades.")
@click.option("--exchange", help="Only this exchange.")
@click.option("--symbol", help="Only this symbol; tables without one are verified whole.")
@click.option("--from", "start", type=DAY, help="First day.")
@click.option("--to", "end", type=DAY, help="Last day, included.")
@click.option("--deep", is_flag=True, help="Compute the partitions again too, and compare bytes.")
def verify(
    table: str | None,
    exchange: str | None,
    symbol: str | None,
    start: date | None,
    end: date | None,
    deep: bool,
) -> None:
    """Read every published partition and compare it with what its meta.json says.

    Checked are size and SHA-256, the number of rows, the range of times, the order of the rows,
    partitions that a unit has lost, and files that nothing reads. What is damaged is marked, so
    that the next `dbt build` builds it again. Raw segments are compared with the ledger; those that
    are not in it have to be Parquet. Exit code 0 when all is well, 1 when there are problems, or
    where the lake does not know the table, exchange or symbol that is asked for.

    --deep also computes the partitions again from their inputs, in the folder of the dbt project,
    and compares the bytes; what is not up to date is left out.
    """
    from ticklake.lake.connection import reach
    from ticklake.lake.planning import Selection
    from ticklake.lake.storage import open_storage

    if start and end:
        refuse_backwards(start, end, ("--from", "--to"))
    storage = open_storage(lake_root())
    reach(storage)
    selection = Selection(
        start=start.isoformat() if start else None,
        end=end.isoformat() if end else None,
        exchanges=frozenset([exchange]) if exchange else None,
        symbols=frozenset([symbol]) if symbol else None,
    )
    problem_count = _verify(storage, table, selection)
    if deep and not (table or "").startswith(("raw.", "raw/")):
        problem_count += _compare(storage, table, selection)
    if problem_count:
        raise SystemExit(1)


def _verify(storage: "Storage", table: str | None, selection: "Selection") -> int:
    """Check what is there; return the number of problems."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from ticklake.lake.catalog import find_tables, refuse_unknown
    from ticklake.lake.erasures import Erasures, read_erasures
    from ticklake.lake.raw import read_ledgers, unreadable_entries
    from ticklake.lake.raw_verifying import check_landed, check_segments, lost_tables
    from ticklake.lake.verifying import (
        Problem,
        check_partitions,
        check_strays,
        check_units,
        selected,
    )

    began = time.monotonic()
    console = Console(stderr=True)
    columns = ("verifying {task.description}", BarColumn(), MofNCompleteColumn())
    problems: list[Problem] = []
    partition_count = rows = size = 0
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=sys.stdout.isatty(),  # else it would end up on stderr
    ) as progress:
        tables = find_tables(storage, table)
        with_raw = table is None or any(listing.is_raw for listing in tables)
        ledger = read_ledgers(storage) if with_raw else {}
        erasures = read_erasures(storage) if with_raw else Erasures()
        if table is None:
            tables += lost_tables(ledger, tables)
        if not tables:
            raise LakeError(
                f"There is no table in {storage.root}. Set LAKE_ROOT to where the lake is, or land "
                "data and `dbt build`."
            )
        for listing in tables:
            partitions = selected(listing, selection)
            task = progress.add_task(listing.name, total=len(partitions))
            found = check_strays(listing)
            check = (
                partial(check_segments, ledger, erasures) if listing.is_raw else check_partitions
            )
            for checked in check(storage, listing, partitions):
                progress.advance(task)
                size += checked.size
                rows += checked.rows
                found += checked.problems
            damaged = list(found)
            if listing.is_raw:
                found += check_landed(ledger, listing, selection)
            else:
                found += check_units(storage, listing, partitions)
            progress.remove_task(task)
            partition_count += len(partitions)
            problems += found
            click.echo(f"{listing.name}: {_partitions(len(partitions))}, {_problems(found)}")
            for problem in found:
                click.echo(f"  {problem}")
            _mark(storage, damaged)
    if with_raw:
        advice = "land its object again"
        entries = [
            Problem(path, "is a ledger entry that cannot be read", advice)
            for path in unreadable_entries(storage)
        ]
        for problem in entries:
            click.echo(f"  {problem}")
        problems += entries
    if not problems:  # what is lost whole is none of the names there are
        refuse_unknown(tables, selection)
    click.echo(
        f"Verified {_partitions(partition_count)}, {rows:,} rows, {size:,} bytes "
        f"in {time.monotonic() - began:.1f} s: {_problems(problems)}."
    )
    return len(problems)


def _compare(storage: "Storage", table: str | None, selection: "Selection") -> int:
    """Compute partitions again by way of dbt; return the number of those that differ."""
    from ticklake.lake.catalog import find_tables
    from ticklake.lake.materialization import COMPARE_ONLY
    from ticklake.lake.session import close_session, latest_session

    variables = {
        "from": selection.start,
        "to": selection.end,
        "exchanges": sorted(selection.exchanges) if selection.exchanges else None,
        "symbols": sorted(selection.symbols) if selection.symbols else None,
    }
    names = [item.location.rpartition("/")[2] for item in find_tables(storage, table) if table]
    chosen = ["--select", *names, "resource_type:seed"] if names else []
    run_models_only(COMPARE_ONLY, [*chosen, "--vars", json.dumps(variables)])
    session = latest_session()
    close_session()
    comparisons = list(session.comparisons.values()) if session else []
    problems: list[Problem] = []
    for found in comparisons:
        left_out = (
            f", {_counted(found.not_compared, 'unit')} not up to date" if found.not_compared else ""
        )
        click.echo(
            f"{found.location.replace('/', '.')}: {_partitions(found.same)} with the bytes that "
            f"their inputs give, {_problems(found.problems)}{left_out}"
        )
        for problem in found.problems:
            click.echo(f"  {problem}")
        _mark(storage, found.problems)
        problems += found.problems
    if any(found.not_compared for found in comparisons):
        click.echo("`ticklake plan` says what is not up to date and why.")
    click.echo(
        f"Computed {_partitions(sum(found.same for found in comparisons) + len(problems))} again: "
        f"{_problems(problems)}."
    )
    return len(problems)


def _mark(storage: "Storage", problems: Iterable["Problem"]) -> None:
    from ticklake.lake.verifying import REBUILD, mark_damaged

    damaged = [problem for problem in problems if problem.advice == REBUILD]
    if not damaged:
        return
    try:
        mark_damaged(storage, damaged)
    except (LakeError, OSError) as error:
        click.echo(
            f"Not marked, so `dbt build` may not see it: {error} Then verify again.", err=True
        )


def _partitions(count: int) -> str:
    return _counted(count, "partition")


def _problems(found: Sequence[object]) -> str:
    return _counted(len(found), "problem") if found else "no problem"


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
