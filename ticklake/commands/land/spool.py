"""`ticklake land spool`: Parquet segments of other collectors."""

import click

from ticklake.commands.land.run import landing_options, names, run
from ticklake.lake.root import lake_root


@click.command()
@click.argument("root")
@click.option("--symbols", help="Only these, e.g. BTCUSDT,ETHUSDT.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    help="A JSON file that says what streams and columns mean, where their names do not.",
)
@landing_options
def spool(root: str, symbols: str | None, config: str | None, workers: int, force: bool) -> None:
    """Land the Parquet segments that another collector wrote below ROOT, a directory or s3:// URL.

    ROOT holds `ccxt/trades/segment_*.parquet`, with exchange and symbol as columns, or
    `exchange=binance/stream=bbo/symbol=btcusdt/*.parquet`. Files whose name or folder begins with
    `.` or `_` are still being written, and left alone. A file of --config overrides:

    \b
      {"streams": {"bbo_v2": "tickers"},
       "columns": {"ts_event": "T", "bid_price": "b{}_px"},
       "symbol_case": "upper"}

    docs/mapping.md has all its words, with an example of each.
    """
    from loaders.aliases import COLUMNS
    from loaders.mapping import read_mapping
    from loaders.spool import spool_request

    mapping = read_mapping(config, COLUMNS)
    wanted = names(symbols, "--symbols")
    run(spool_request(lake_root(), root, mapping, wanted, workers, force))
