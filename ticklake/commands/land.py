"""`ticklake land`: read a source into raw segments of the lake."""

import os
from collections import Counter
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from ticklake.commands.dates import DAY

if TYPE_CHECKING:
    from loaders.hyperliquid.job import Outcome
    from loaders.hyperliquid.run import Summary

ARCHIVE = "s3://hl-mainnet-node-data"
MISSING_SHOWN = 24


@click.group()
def land() -> None:
    """Land source data in the lake at LAKE_ROOT (default ./lake)."""


@land.command()
@click.option(
    "--source",
    default=ARCHIVE,
    show_default=True,
    help="Where the hour files are: an s3:// or https:// URL, or a directory laid out alike. "
    "On S3 the reader pays.",
)
@click.option("--start", type=DAY, required=True, help="First day, YYYYMMDD.")
@click.option("--end", type=DAY, required=True, help="Last day, included.")
@click.option("--coins", help="Only these, e.g. BTC,ETH. Landing again with others adds them.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=lambda: len(os.sched_getaffinity(0)),
    show_default="one a core",
    help="Processes.",
)
@click.option("--force", is_flag=True, help="Land again what is landed already.")
def hyperliquid(
    source: str, start: date, end: date, coins: str | None, workers: int, force: bool
) -> None:
    """Land the fills of the Hyperliquid node archive.

    Exit code 0 when nothing failed (hours that the archive lacks are listed), 1 when something was
    set aside in quarantine or failed, or when none of the hours exists.
    """
    from loaders.hyperliquid.run import Request
    from loaders.hyperliquid.run import land as land_hours

    if end < start:
        raise click.BadParameter("is before --start.", param_hint="--end")
    wanted = None
    if coins is not None:
        wanted = sorted({coin.strip() for coin in coins.split(",")} - {""})
        if not wanted:
            raise click.BadParameter("names no coin.", param_hint="--coins")
    root = os.environ.get("LAKE_ROOT") or "./lake"
    request = Request(root, source, start, end, wanted, workers, force)
    with _Progress() as progress:
        summary = land_hours(request, progress.report)
    _print_summary(summary, root)
    if not summary.is_good:
        raise SystemExit(1)


class _Progress:
    """A progress bar on a terminal, else one plain line an object."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self._bar = None
        console = Console(stderr=True)
        if console.is_terminal:
            columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress("landing", *columns, console=console, transient=True)
            self._task = self._bar.add_task("landing", total=None)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def report(self, outcome: "Outcome", done: int, total: int) -> None:
        line = f"{outcome.state} {outcome.path}"
        if outcome.state == "landed":
            line += f": {outcome.rows:,} fills"
        if outcome.message:
            line += f" ({outcome.message})"
        if self._bar is None:
            click.echo(f"[{done}/{total}] {line}")
            return
        self._bar.update(self._task, completed=done, total=total)
        if outcome.message:
            self._bar.console.print(line, markup=False, highlight=False)


def _print_summary(summary: "Summary", root: str) -> None:
    states = ", ".join(
        f"{summary.count(state)} {state}" for state in ("landed", "skipped", "quarantined")
    )
    failed = summary.count("failed")
    click.echo(
        f"Objects: {states}, {f'{failed} failed, ' if failed else ''}{len(summary.missing)} missing"
    )
    click.echo(
        f"Landed: {summary.rows:,} fills from {summary.size:,} bytes "
        f"in {summary.seconds:.1f} s, in {root}"
    )
    if summary.rejected:
        click.echo(f"Lines and fills set aside in quarantine/: {_listed(summary.rejected)}")
    if summary.rejected_before:
        click.echo(
            f"Of the skipped objects {summary.rejected_before:,} lines and fills are in quarantine/"
        )
    if summary.extra:
        click.echo(f"Fields without a column, kept in `extra`: {_listed(summary.extra)}")
    if summary.missing:
        shown = summary.missing[:MISSING_SHOWN]
        click.echo("Missing at the source:")
        for path in shown:
            click.echo(f"  {path}")
        if len(summary.missing) > len(shown):
            click.echo(f"  and {len(summary.missing) - len(shown):,} more")
    if not summary.outcomes:
        click.echo("None of the hours asked for exists at the source.", err=True)


def _listed(counts: "Counter[str]") -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
