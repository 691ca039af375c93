"""`ticklake sample`: sample source files."""

from datetime import date
from itertools import chain
from pathlib import Path

import click

from ticklake.commands.dates import DAY


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--days", type=click.IntRange(1), default=2, show_default=True, help="Days to write.")
@click.option("--seed", type=int, default=1, show_default=True, help="Same seed, same bytes.")
@click.option(
    "--start", type=DAY, default="20250801", show_default=True, help="First day, YYYYMMDD."
)
@click.option(
    "--fills-per-hour",
    type=click.IntRange(2),
    default=300,
    show_default=True,
    help="About how many fills an hour file of Hyperliquid holds.",
)
@click.option(
    "--scale",
    type=click.FloatRange(0, min_open=True),
    default=1.0,
    show_default=True,
    help="How much more happens on the other sources.",
)
@click.option(
    "--only",
    metavar="SOURCES",
    help="Write just these of hyperliquid, binance-futures, binance-spot, tardis, "
    "hyperliquid-market, spool, csv.",
)
def sample(
    folder: Path,
    days: int,
    seed: int,
    start: date,
    fills_per_hour: int,
    scale: float,
    only: str | None,
) -> None:
    """Write sample files, laid out as the real sources, below DIR.

    Fills of the Hyperliquid archive, its books and asset contexts; Binance WebSocket captures and
    public files; Tardis CSV; Parquet of other collectors; a plain CSV.
    """
    from ticklake.sample.archive import FIRST_DAY, write_sample
    from ticklake.sample.sources import SOURCES, write_market

    if start < FIRST_DAY:
        raise click.BadParameter(
            f"sample files are by block, as in the archive from {FIRST_DAY:%Y%m%d}.",
            param_hint="--start",
        )
    known = ["hyperliquid", *SOURCES]
    wanted = known if only is None else [name.strip() for name in only.split(",")]
    if unknown := sorted(set(wanted) - set(known)):
        raise click.BadParameter(
            f"{', '.join(unknown)}: there are {', '.join(known)}.", param_hint="--only"
        )
    fills = write_sample(folder, start=start, days=days, seed=seed, fills_per_hour=fills_per_hour)
    market = write_market(folder, start=start, days=days, seed=seed, scale=scale, sources=wanted)
    files = list(chain(fills if "hyperliquid" in wanted else [], market))
    rows = sum(file.rows for file in files)
    size = sum(file.size for file in files)
    click.echo(f"{len(files)} files, {rows:,} rows, {size:,} bytes in {folder}")
