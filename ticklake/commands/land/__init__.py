"""`ticklake land`: read a source into raw segments of the lake."""

import click

from ticklake.commands.land.binance import binance
from ticklake.commands.land.capture import capture
from ticklake.commands.land.csv import csv
from ticklake.commands.land.hyperliquid import hyperliquid
from ticklake.commands.land.hyperliquid_market import hyperliquid_market
from ticklake.commands.land.spool import spool
from ticklake.commands.land.tardis import tardis


@click.group()
def land() -> None:
    """Land source data in the lake at LAKE_ROOT (default ./lake).

    Exit code 0 when nothing failed, 1 when something was set aside in quarantine or failed, or when
    nothing that was asked for exists.
    """


for command in (binance, capture, csv, hyperliquid, hyperliquid_market, spool, tardis):
    land.add_command(command)
