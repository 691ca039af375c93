"""`ticklake land hyperliquid`: fills of the node archive."""

from datetime import date

import click

from ticklake.commands.dates import DAY, refuse_backwards
from ticklake.commands.land.run import landing_options, names, run
from ticklake.lake.root import lake_root

ARCHIVE = "s3://hl-mainnet-node-data"


@click.command()
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
@landing_options
def hyperliquid(
    source: str, start: date, end: date, coins: str | None, workers: int, force: bool
) -> None:
    """Land the fills of the Hyperliquid node archive.

    Hours that the archive lacks are listed, and are no failure as long as there is one.
    """
    from loaders.hyperliquid.fills import fills_between

    refuse_backwards(start, end, ("--start", "--end"))
    wanted = names(coins, "--coins")
    run(fills_between(lake_root(), source, start, end, wanted, workers, force))
