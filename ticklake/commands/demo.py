"""`ticklake demo`: from sample files to the first queries."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click

from ticklake.commands.sql import ask
from ticklake.lake.root import lake_root

SAMPLE: Final = "sample"
START: Final = "20250801"
DAYS: Final = f"--start {START} --end 20250802"
FUTURES: Final = f"binance --source {SAMPLE}/binance {DAYS} --market um"
SPOT: Final = f"binance --source {SAMPLE}/binance {DAYS} --market spot"
LANDINGS: Final = (
    f"hyperliquid --source {SAMPLE} {DAYS}",
    f"capture --exchange binance-futures {SAMPLE}/capture/binance-futures/*.gz",
    f"capture --exchange binance {SAMPLE}/capture/binance/*.jsonl",
    f"{FUTURES} --data trades --symbols BTCUSDT,ETHUSDT",
    f"{FUTURES} --data aggTrades --symbols SOLUSDT",
    f"{FUTURES} --data bookTicker --symbols SOLUSDT",
    f"{FUTURES} --data klines --symbols BTCUSDT,ETHUSDT,SOLUSDT",
    f"{FUTURES} --data markPriceKlines --symbols BTCUSDT,ETHUSDT",
    f"{FUTURES} --data fundingRate --symbols BTCUSDT,ETHUSDT",
    f"{SPOT} --data aggTrades --symbols BTCUSDT",
    f"{SPOT} --data klines --symbols BTCUSDT",
    f"hyperliquid-market --channel order_book --source {SAMPLE} {DAYS}",
    f"hyperliquid-market --channel asset_ctxs --source {SAMPLE} {DAYS}",
    f"tardis {SAMPLE}/tardis",
    f"spool {SAMPLE}/spool",
    f"csv --channel trades --exchange coinbase --symbol BTC-USD {SAMPLE}/csv/*.csv",
)
QUERIES: Final = Path("analyses/first_queries")
BIN: Final = Path(sys.executable).parent


@click.command()
def demo() -> None:
    """Write sample files, land them, build every table, and show the first queries.

    The lake is LAKE_ROOT (default ./lake). Running it again changes nothing.
    """
    _run(["ticklake", "sample", "--days", "2", "--start", START, SAMPLE])
    for landing in LANDINGS:
        _run(["ticklake", "land", *landing.split()], "Landed")
    _run(["dbt", "--no-use-colors", "build"], " OK ", "Done.")
    click.secho("\nMade in the lake", bold=True)
    click.echo(_inventory())
    click.secho("\nFirst queries", bold=True)
    for path in sorted(QUERIES.glob("*.sql")):
        query = path.read_text().strip()
        click.echo(f"\n{query}\n{ask(query)}", nl=False)
    click.echo(
        '\nNext: `ticklake sql "from bars.time_bars limit 5"`; '
        "`make docs` shows every table and column; README.md tells how to go to S3 and to the "
        "real archive. `make demo` or `dbt build` again: nothing to do, 0 built."
    )


def _run(command: Sequence[str], *shown: str) -> None:
    """Run a step and show its lines that have one of these texts; all of them where it fails."""
    click.secho(f"\n$ {' '.join(command)}", bold=True)
    result = subprocess.run(
        [str(BIN / command[0]), *_expanded(command[1:])],
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


def _expanded(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments, and the files in place of a pattern, as a shell does."""
    for argument in arguments:
        yield from sorted(map(str, Path().glob(argument))) if "*" in argument else [argument]


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
