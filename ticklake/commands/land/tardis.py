"""`ticklake land tardis`: CSV data sets of Tardis, from disk or downloaded."""

from datetime import date

import click

from ticklake.commands.dates import DAY, refuse_backwards
from ticklake.commands.land.run import landing_options, names, run
from ticklake.lake.root import lake_root


@click.command()
@click.argument("paths", nargs=-1, metavar="[FILE_OR_DIR]...", type=click.Path(exists=True))
@click.option("--exchange", help="Download: the exchange, e.g. binance-futures.")
@click.option("--data-types", help="Download: e.g. trades,book_snapshot_25.")
@click.option(
    "--data-type",
    help="Files: what they hold, if their names do not say it, e.g. trades.",
)
@click.option("--symbols", help="Only these, e.g. BTCUSDT,ETHUSDT.")
@click.option("--from", "start", type=DAY, help="Download: first day.")
@click.option("--to", "end", type=DAY, help="Download: last day, included.")
@click.option(
    "--download-dir",
    default="./datasets",
    show_default=True,
    help="Where downloads are kept. What is there is not downloaded again.",
)
@click.option(
    "--api-key-env",
    default="TARDIS_API_KEY",
    show_default=True,
    help="The environment variable that holds the API key.",
)
@click.option(
    "--levels",
    type=click.IntRange(1),
    default=25,
    show_default=True,
    help="Levels a side of books rebuilt from incremental_book_L2.",
)
@landing_options
def tardis(
    paths: tuple[str, ...],
    exchange: str | None,
    data_types: str | None,
    data_type: str | None,
    symbols: str | None,
    start: date | None,
    end: date | None,
    download_dir: str,
    api_key_env: str,
    levels: int,
    workers: int,
    force: bool,
) -> None:
    """Land CSV data sets of Tardis: files, directories of files, or a download.

    The name of a file says what it holds (EXCHANGE_TYPE_DATE_SYMBOL.csv.gz), and its columns have
    to agree: trades, book_snapshot_N, incremental_book_L2, quotes, book_ticker or
    derivative_ticker. If the name does not say it, its columns decide, or --data-type if they fit
    several types. liquidations and options_chain have no channel yet: their rows are counted and
    left out.

    A download needs --exchange, --data-types, --symbols, --from and --to, an API key, and the
    client that ticklake[tardis] installs.
    """
    from loaders.tardis.files import check_data_type, tardis_request

    wanted = names(symbols, "--symbols")
    types = names(data_types, "--data-types")
    if exchange or types or start or end:
        if paths:
            raise click.UsageError("Give files, or what to download, not both.")
        if not (exchange and types and wanted and start and end):
            raise click.UsageError(
                "A download needs --exchange, --data-types, --symbols, --from and --to."
            )
        if data_type:
            raise click.UsageError("--data-type is for files. A download has --data-types.")
        refuse_backwards(start, end, ("--from", "--to"))
        for name in types:
            check_data_type(name)
        from loaders.tardis.download import data_sets, download

        sets = data_sets(exchange, types, wanted, start, end)
        paths = tuple(download(sets, download_dir, api_key_env))
        wanted = None
    elif not paths:
        raise click.UsageError("Give files or directories, or say what to download.")
    run(tardis_request(lake_root(), paths, levels, wanted, workers, force, data_type))
