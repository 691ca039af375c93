"""`ticklake sample`: sample source files."""

from datetime import date
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
    help="About how many fills an hour file holds.",
)
def sample(folder: Path, days: int, seed: int, start: date, fills_per_hour: int) -> None:
    """Write sample files, laid out as the Hyperliquid archive, below DIR."""
    from ticklake.sample.archive import FIRST_DAY, write_sample

    if start < FIRST_DAY:
        raise click.BadParameter(
            f"sample files are by block, as in the archive from {FIRST_DAY:%Y%m%d}.",
            param_hint="--start",
        )
    files = list(
        write_sample(folder, start=start, days=days, seed=seed, fills_per_hour=fills_per_hour)
    )
    fills = sum(file.fills for file in files)
    size = sum(file.size for file in files)
    click.echo(f"{len(files)} files, {fills:,} fills, {size:,} bytes in {folder}")
