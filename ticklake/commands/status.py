"""`ticklake status`: what is in the lake."""

import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from ticklake.lake.root import lake_root

if TYPE_CHECKING:
    from ticklake.lake.status import Holding

SECOND = 1_000_000_000  # nanoseconds
HEADERS = ("table", "of", "partitions", "rows", "bytes", "first", "last", "age", "holes")
NUMBERS = ("partitions", "rows", "bytes", "age")
HOLES_SHOWN = 5


@click.command()
@click.option("--table", help="Only this table: trades, or compacted.trades.")
@click.option("--exchange", help="Only this exchange.")
@click.option("--symbol", help="Only this symbol; tables without one are shown whole.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def status(table: str | None, exchange: str | None, symbol: str | None, as_json: bool) -> None:
    """Show what each table holds by exchange and symbol: sizes, times, missing days, age.

    Age is the time since the last event. Rows and times come from the meta files and their cache,
    so raw segments, which have none, show days alone.
    """
    from ticklake.lake.catalog import find_tables
    from ticklake.lake.connection import reach
    from ticklake.lake.planning import Selection
    from ticklake.lake.raw import archives_with_holes
    from ticklake.lake.status import holdings
    from ticklake.lake.storage import open_storage

    storage = open_storage(lake_root())
    reach(storage)
    selection = Selection(
        exchanges=frozenset([exchange]) if exchange else None,
        symbols=frozenset([symbol]) if symbol else None,
    )
    found = [
        holding
        for listing in find_tables(storage, table)
        for holding in holdings(storage, listing, selection)
    ]
    now = time.time_ns()
    if as_json:
        for holding in found:
            click.echo(json.dumps(_as_json(holding, now)))
    elif found:
        _print([_line(holding, now) for holding in found])
    else:
        click.echo(f"{storage.root} has nothing of that.")
    if not (as_json or table or exchange or symbol):
        for name, paths in archives_with_holes(storage).items():
            shown = ", ".join(paths[:HOLES_SHOWN])
            more = f" and {len(paths) - HOLES_SHOWN:,} more" if len(paths) > HOLES_SHOWN else ""
            click.echo(f"The source of {name} lacked, when last asked: {shown}{more}")


def _as_json(holding: "Holding", now: int) -> dict[str, Any]:
    return {
        "table": holding.table,
        **holding.values,
        "partitions": holding.partitions,
        "rows": holding.rows,
        "bytes": holding.size,
        "first": _time(holding.first_ns),
        "last": _time(holding.last_ns),
        "first_date": holding.dates[0] if holding.dates else None,
        "last_date": holding.dates[-1] if holding.dates else None,
        "age_seconds": None if holding.last_ns is None else (now - holding.last_ns) // SECOND,
        "holes": holding.holes,
        "damaged": holding.damaged,
    }


def _line(holding: "Holding", now: int) -> tuple[str, ...]:
    dates = holding.dates or ["-"]
    holes = holding.holes
    shown = " ".join(holes[:HOLES_SHOWN])
    if len(holes) > HOLES_SHOWN:
        shown += f" and {len(holes) - HOLES_SHOWN} more"
    if holding.damaged:
        shown += f" ({holding.damaged} damaged: ticklake verify)"
    return (
        holding.table,
        " ".join(holding.values.values()) or "-",
        f"{holding.partitions:,}",
        "-" if holding.rows is None else f"{holding.rows:,}",
        f"{holding.size:,}",
        _time(holding.first_ns) or dates[0],
        _time(holding.last_ns) or dates[-1],
        "-" if holding.last_ns is None else _age((now - holding.last_ns) // SECOND),
        shown.strip() or "-",
    )


def _time(instant: int | None) -> str | None:
    """Return an instant in UTC, to the second."""
    if instant is None:
        return None
    return f"{datetime.fromtimestamp(instant // SECOND, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _age(seconds: int) -> str:
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if abs(seconds) >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _print(lines: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal:
        for line in _aligned([HEADERS, *lines]):
            click.echo(line)
        return
    for name, rows in groupby(lines, key=lambda line: line[0]):
        table = Table(title=name, title_justify="left", box=SIMPLE_HEAD)
        for header in HEADERS[1:]:
            is_number = header in NUMBERS
            table.add_column(
                header,
                justify="right" if is_number else "left",
                no_wrap=is_number,
                overflow="fold",
            )
        for values in rows:
            table.add_row(*values[1:])
        console.print(table)


def _aligned(lines: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(line[index]) for line in lines) for index in range(len(HEADERS))]
    for line in lines:
        cells = (
            cell.rjust(width) if header in NUMBERS else cell.ljust(width)
            for header, cell, width in zip(HEADERS, line, widths, strict=True)
        )
        yield "  ".join(cells).rstrip()
