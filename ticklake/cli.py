"""The `ticklake` command.

Commands import what is large (DuckDB, Arrow, dbt) where they need it: the worker processes of
`land` import this module too, and everybody waits for it.
"""

from typing import Any

import click

from ticklake.commands.delete import delete
from ticklake.commands.demo import demo
from ticklake.commands.erasures import erasures
from ticklake.commands.land import land
from ticklake.commands.plan import plan
from ticklake.commands.quarantine import quarantine
from ticklake.commands.sample import sample
from ticklake.commands.sql import sql
from ticklake.commands.status import status
from ticklake.commands.unlock import unlock
from ticklake.commands.verify import verify
from ticklake.lake.errors import LakeError


class _Commands(click.Group):
    """Shows an error that is meant for people as a message, with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LakeError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ticklake")
def main() -> None:
    """Build a lakehouse of market microstructure: land source data, then run `dbt build`."""


for command in (
    delete,
    demo,
    erasures,
    land,
    plan,
    quarantine,
    sample,
    sql,
    status,
    unlock,
    verify,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
