"""`ticklake land csv`: CSV files of any provenance."""

import click

from ticklake.commands.land.run import landing_options, run
from ticklake.lake.root import lake_root

CHANNELS = ("trades", "order_book", "tickers", "mark_prices", "funding_rates", "klines")


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False),
)
@click.option("--channel", type=click.Choice(CHANNELS), required=True, help="What the rows are.")
@click.option("--exchange", help="Needed where the files have no column for it.")
@click.option("--symbol", help="Needed where the files have no column for it.")
@click.option("--interval", help="Of klines, e.g. 1m, where the files have no column for it.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="A JSON file that says what the columns mean, where their names do not.",
)
@landing_options
def csv(
    files: tuple[str, ...],
    channel: str,
    exchange: str | None,
    symbol: str | None,
    interval: str | None,
    config: str | None,
    workers: int,
    force: bool,
) -> None:
    """Land CSV files, plain, compressed or in a ZIP, with columns found by their names.

    Times are ISO 8601 (without a zone UTC) or s, ms, us or ns since the epoch. Columns that the
    channel does not have are kept in `extra`. Columns that name an exchange, a symbol or an
    interval must agree with the options. A file of --config overrides, for example:

    \b
      {"columns": {"price": "px", "ts_event": "T"},
       "timestamp_format": "%d/%m/%Y %H:%M:%S", "timezone": "America/New_York",
       "scale": {"size": "1e-18"}, "where": {"action": "T"},
       "header": ["T", "px", "qty", "action"]}

    docs/mapping.md has all its words, with an example of each.
    """
    from loaders.aliases import COLUMNS
    from loaders.csv_files import CsvParser, csv_request
    from loaders.mapping import read_mapping

    parser = CsvParser(channel, exchange, symbol, interval, read_mapping(config, COLUMNS))
    run(csv_request(lake_root(), files, parser, workers, force), must_exist=True)
