"""The `ticklake` command."""

import click

from ticklake.commands.demo import demo
from ticklake.commands.land import land
from ticklake.commands.plan import plan
from ticklake.commands.sample import sample
from ticklake.commands.sql import sql
from ticklake.commands.unlock import unlock


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ticklake")
def main() -> None:
    """Build a lakehouse of market microstructure: land source data, then run `dbt build`."""


for command in (demo, land, plan, sample, sql, unlock):
    main.add_command(command)


if __name__ == "__main__":
    main()
