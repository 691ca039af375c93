"""`ticklake demo`: from sample files to the first queries."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from ticklake.commands.sql import ask, lake_root

SAMPLE = "./sample"
START, END = "20250801", "20250802"
QUERIES = Path("analyses/first_queries")
BIN = Path(sys.executable).parent


@click.command()
def demo() -> None:
    """Write sample files, land them, build every table, and show the first queries.

    The lake is LAKE_ROOT (default ./lake). Running it again changes nothing.
    """
    _run(["ticklake", "sample", "--days", "2", "--start", START, SAMPLE])
    days = ["--start", START, "--end", END]
    _run(["ticklake", "land", "hyperliquid", "--source", SAMPLE, *days], "Objects", "Landed")
    _run(["dbt", "--no-use-colors", "build"], " OK ", "Done.")
    click.secho("\nMade in the lake", bold=True)
    click.echo(_inventory())
    click.secho("\nFirst queries", bold=True)
    for path in sorted(QUERIES.glob("*.sql")):
        query = path.read_text().strip()
        click.echo(f"\n{query}\n{ask(query)}", nl=False)
    click.echo(
        '\nNext: `ticklake sql "from bars.time_bars limit 5"`, or `duckdb local.duckdb`; '
        "`make docs` shows every table and column; README.md tells how to go to S3 and to the "
        "real archive. `make demo` or `dbt build` again: nothing to do, 0 built."
    )


def _run(command: Sequence[str], *shown: str) -> None:
    """Run a step and show its lines that have one of these texts; all of them where it fails."""
    click.secho(f"\n$ {' '.join(command)}", bold=True)
    result = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    lines = result.stdout.splitlines()
    if shown and result.returncode == 0:
        lines = [line for line in lines if any(text in line for text in shown)]
    click.echo("\n".join(lines))
    if result.returncode:
        raise click.ClickException(f"{' '.join(command)} ended with {result.returncode}.")


def _inventory() -> str:
    """Return a line a table: partitions and bytes."""
    from ticklake.lake.storage import open_storage

    counts: dict[str, list[int]] = {}
    for entry in open_storage(lake_root()).entries(""):
        if entry.path.endswith(".parquet") and not entry.path.startswith("_"):
            table = counts.setdefault("/".join(entry.path.split("/")[:2]), [0, 0])
            table[0] += 1
            table[1] += entry.size
    lines = [
        f"  {table:24s} {files:5,} files {size / 1024:10,.0f} KiB"
        for table, (files, size) in sorted(counts.items())
    ]
    return "\n".join(lines)
