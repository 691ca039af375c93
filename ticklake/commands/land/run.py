"""What all `ticklake land` commands share: options, progress, the summary and the exit code."""

import os
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click

if TYPE_CHECKING:
    from loaders.landing import Outcome, Report, Request, Summary

MISSING_SHOWN = 24


def landing_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that every loader has: --workers and --force."""
    force = click.option("--force", is_flag=True, help="Land again what is landed already.")
    workers = click.option(
        "--workers",
        type=click.IntRange(1),
        default=lambda: len(os.sched_getaffinity(0)),
        show_default="one a core",
        help="Processes.",
    )
    return workers(force(command))


def names(text: str | None, option: str) -> list[str] | None:
    """Return the names in a list with commas, None where the option was not given."""
    if text is None:
        return None
    wanted = sorted({name.strip() for name in text.split(",")} - {""})
    if not wanted:
        raise click.BadParameter("is an empty list.", param_hint=option)
    return wanted


def run(request: "Request", *, must_exist: bool = False) -> None:
    """Land a request, show how it goes and what it did; exit with 1 if something is amiss.

    With `must_exist` an object that the source lacks is amiss too.
    """
    from loaders.landing import land

    run_with(lambda report, _: land(request, report), request.root, must_exist=must_exist)


def run_with(
    land: "Callable[[Report, Callable[[str], None]], Summary]",
    root: str,
    *,
    must_exist: bool = False,
) -> None:
    """Do the same with a function that lands. It can report outcomes, and say other things."""
    with _Progress() as progress:
        summary = land(progress.report, progress.say)
    _print_summary(summary, root)
    if not summary.is_good or (must_exist and summary.missing):
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
            line += f": {outcome.rows:,} rows"
        if outcome.message:
            line += f" ({outcome.message})"
        line = _printable(line)
        if self._bar is None:
            click.echo(f"[{done}/{total}] {line}")
            return
        self._bar.update(self._task, completed=done, total=total)
        if outcome.message and outcome.state != "skipped":
            self.say(line)

    def say(self, line: str) -> None:
        """Show a line that stays."""
        line = _printable(line)
        if self._bar is None:
            click.echo(line)
        else:
            self._bar.console.print(line, markup=False, highlight=False)


def _printable(text: str) -> str:
    """Return text without what a terminal cannot show, such as file names that are not UTF-8."""
    return text.encode(errors="backslashreplace").decode()


def _print_summary(summary: "Summary", root: str) -> None:
    states = ", ".join(
        f"{summary.count(state)} {state}" for state in ("landed", "skipped", "quarantined")
    )
    failed = summary.count("failed")
    click.echo(
        f"Objects: {states}, {f'{failed} failed, ' if failed else ''}{len(summary.missing)} missing"
    )
    click.echo(
        f"Landed: {summary.rows:,} rows from {summary.size:,} bytes "
        f"in {summary.seconds:.1f} s, in {root}"
    )
    if summary.not_tried:
        click.echo(f"Not tried after that: {summary.not_tried:,} objects")
    if summary.rejected:
        click.echo(f"Lines and rows set aside in quarantine/: {_listed(summary.rejected)}")
    if summary.rejected_before:
        click.echo(
            f"Of the skipped objects {summary.rejected_before:,} lines and rows are in quarantine/"
        )
    if summary.unwanted:
        click.echo(f"Lines and rows that are not wanted: {_listed(summary.unwanted)}")
    if summary.extra:
        click.echo(f"Fields without a column, kept in `extra`: {_listed(summary.extra)}")
    if summary.missing:
        shown = summary.missing[:MISSING_SHOWN]
        click.echo("Missing at the source:")
        for path in shown:
            click.echo(f"  {_printable(path)}")
        if len(summary.missing) > len(shown):
            click.echo(f"  and {len(summary.missing) - len(shown):,} more")
    if not summary.outcomes:
        click.echo("Nothing that was asked for exists at the source.", err=True)
    if summary.lacks_symbols and summary.symbols is not None:
        wanted = ", ".join(summary.symbols)
        told = f"Nothing in these objects is of {wanted}. Symbols are spelled as the venue does."
        click.echo(told, err=True)


def _listed(counts: "Counter[str]") -> str:
    from loaders.limits import listed

    return listed([f"{name} {count:,}" for name, count in sorted(counts.items())])
