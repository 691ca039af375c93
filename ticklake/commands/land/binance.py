"""`ticklake land binance`: the public files of Binance."""

import re
from datetime import date

import click

from loaders.binance.archive import (
    ARCHIVE,
    CHANNELS,
    EXCHANGES,
    INTERVALS,
    OF_SPOT,
    WITH_INTERVAL,
    Series,
)
from ticklake.commands.dates import DAY, refuse_backwards
from ticklake.commands.land.run import landing_options, names, run_with
from ticklake.lake.root import lake_root


@click.command()
@click.option("--market", type=click.Choice(list(EXCHANGES)), required=True)
@click.option("--data", type=click.Choice(list(CHANNELS)), required=True)
@click.option("--symbols", required=True, help="With commas, e.g. BTCUSDT,ETHUSDT.")
@click.option("--start", type=DAY, help="First day, YYYYMMDD.")
@click.option("--end", type=DAY, help="Last day, included.")
@click.option("--latest", is_flag=True, help="The newest month instead of --start and --end.")
@click.option("--daily", is_flag=True, help="Take daily files only.")
@click.option("--monthly", is_flag=True, help="Take monthly files only, each with all its days.")
@click.option("--interval", help="Of klines and markPriceKlines.  [default: 1m]")
@click.option(
    "--source",
    default=ARCHIVE,
    show_default=True,
    help="Where the files are: an https:// or s3:// URL, or a directory laid out alike.",
)
@landing_options
def binance(
    market: str,
    data: str,
    symbols: str,
    start: date | None,
    end: date | None,
    latest: bool,
    daily: bool,
    monthly: bool,
    interval: str | None,
    source: str,
    workers: int,
    force: bool,
) -> None:
    """Land files of Binance's public archive: spot, USD-margined (um), COIN-margined (cm) futures.

    Monthly files for whole months, daily files for the rest; each is checked against its .CHECKSUM.
    If a monthly file is broken, or lacks days or a part of one (candles, or ids of trades), daily
    files stand in, and the other way round. --daily and --monthly leave out this second choice.

    Files that the archive lacks are listed, which is no failure if at least one exists. Without
    days, or with --latest, the newest month of each symbol lands.
    """
    from loaders.binance.landing import land_plan
    from loaders.binance.request import Cadence, plan

    if daily and monthly:
        raise click.UsageError("Give --daily or --monthly, not both.")
    cadence: Cadence = "daily" if daily else "monthly" if monthly else None

    if market == "spot" and data not in OF_SPOT:
        raise click.BadParameter(f"is one of {', '.join(OF_SPOT)} for spot.", param_hint="--data")
    if data not in WITH_INTERVAL and interval is not None:
        raise click.BadParameter(f"is not for {data}.", param_hint="--interval")
    if data in WITH_INTERVAL:
        interval = interval or "1m"
        if interval not in INTERVALS:
            raise click.BadParameter(f"is one of {', '.join(INTERVALS)}.", param_hint="--interval")
    wanted = sorted({name.upper() for name in names(symbols, "--symbols") or []})
    odd = [name for name in wanted if not re.fullmatch(r"\w+", name)]
    if odd:
        raise click.BadParameter(
            f"has {odd[0]!r}; symbols look like BTCUSDT or BTCUSD_PERP.", param_hint="--symbols"
        )
    done = plan(
        lake_root(),
        source,
        [Series(market, data, name, interval) for name in wanted],
        _days(start, end, latest),
        workers,
        force,
        cadence,
    )
    for note in done.notes:
        click.echo(note)
    run_with(lambda report, say: land_plan(done, report, say), done.root)


def _days(start: date | None, end: date | None, latest: bool) -> tuple[date, date] | None:
    """Return the days asked for, None for the newest month."""
    if start is None and end is None:
        return None
    if latest:
        raise click.UsageError("--latest goes without --start and --end.")
    if start is None or end is None:
        raise click.UsageError("Give both --start and --end, or neither for the newest month.")
    refuse_backwards(start, end, ("--start", "--end"))
    return start, end
