"""The `ticklake` command."""

import click

from ticklake.commands.land import land
from ticklake.commands.sample import sample


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ticklake")
def main() -> None:
    """Build a lakehouse of market microstructure: land source data, then run `dbt build`."""


main.add_command(land)
main.add_command(sample)


if __name__ == "__main__":
    main()
