"""`ticklake plan`: what a build would do and why, without doing it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from ticklake.commands.dbt import run_models_only
from ticklake.lake.paths import partition_path

if TYPE_CHECKING:
    from ticklake.lake.planning import Plan
    from ticklake.lake.specs import ModelSpec

SHOWN = 20
SELECTIONS = {"--select", "-s", "--models", "--model", "-m"}


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--all", "show_all", is_flag=True, help=f"Show every line, not {SHOWN} a model.")
@click.argument("dbt_arguments", nargs=-1, type=click.UNPROCESSED)
def plan(show_all: bool, dbt_arguments: tuple[str, ...]) -> None:
    """Print what `dbt build` would build or drop, and why, without doing it.

    DBT_ARGUMENTS go to dbt: --select trades+, --vars '{from: 2025-08-01}', --full-refresh, --target
    s3. A partition is built because it is missing, an input or the code changed, or it is damaged.
    """
    from ticklake.lake.materialization import PLAN_ONLY
    from ticklake.lake.session import latest_session

    selects = SELECTIONS & {item.partition("=")[0] for item in dbt_arguments}
    seeds = ["--select", "resource_type:seed"] if selects else []
    run_models_only(PLAN_ONLY, [*dbt_arguments, *seeds])
    session = latest_session()
    plans = list(session.plans.values()) if session else []
    if not plans:
        click.echo("No lake model was selected.", err=True)
    for model, planned in plans:
        click.echo(_headline(model, planned))
        lines = list(_lines(model, planned))
        for line in lines if show_all else lines[:SHOWN]:
            click.echo(f"  {line}")
        if len(lines) > SHOWN and not show_all:
            click.echo(f"  ... and {len(lines) - SHOWN} more (--all shows them)")


def _headline(model: "ModelSpec", planned: "Plan") -> str:
    blocked = f", {len(planned.blocked)} to wait" if planned.blocked else ""
    outside = f", {planned.stale_outside} stale outside the selection"
    return (
        f"{model.location}: {len(planned.dirty)} to build, {len(planned.dropped)} to drop, "
        f"{planned.unchanged} unchanged{blocked}{outside if planned.stale_outside else ''}"
    )


def _lines(model: "ModelSpec", planned: "Plan") -> Iterator[str]:
    for unit, reason in planned.dirty:
        yield f"build {partition_path(model.unit_by, unit.key)}  ({reason})"
    for unit, why in planned.blocked:
        yield f"wait  {partition_path(model.unit_by, unit.key)}  ({why})"
    for key in planned.dropped:
        yield f"drop  {partition_path(model.partition_by, key)}  (its inputs are gone)"
