"""`ticklake land hyperliquid-market`: order books, mark prices and funding of the archive."""

from datetime import date

import click

from ticklake.commands.dates import DAY, refuse_backwards
from ticklake.commands.land.run import landing_options, names, run
from ticklake.lake.root import lake_root

ARCHIVE = "s3://hyperliquid-archive"


@click.command("hyperliquid-market")
@click.option(
    "--channel",
    type=click.Choice(("order_book", "asset_ctxs")),
    required=True,
    help="Books of 20 levels about every 5 s, or mark prices and funding of each minute.",
)
@click.option(
    "--source",
    default=ARCHIVE,
    show_default=True,
    help="Where the files are: an s3:// or https:// URL, or a directory laid out alike. On S3 the "
    "reader pays.",
)
@click.option("--start", type=DAY, required=True, help="First day, YYYYMMDD.")
@click.option("--end", type=DAY, required=True, help="Last day, included.")
@click.option("--coins", help="Only these, e.g. BTC,ETH. Books of all coins where left out.")
@landing_options
def hyperliquid_market(
    channel: str,
    source: str,
    start: date,
    end: date,
    coins: str | None,
    workers: int,
    force: bool,
) -> None:
    """Land order books, or mark prices and funding rates, of the Hyperliquid archive.

    Files that the archive lacks are listed, and are no failure as long as there is one.
    """
    from loaders.hyperliquid.market import market_between

    refuse_backwards(start, end, ("--start", "--end"))
    wanted = names(coins, "--coins")
    run(market_between(lake_root(), source, channel, start, end, wanted, workers, force))
