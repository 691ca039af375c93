"""`ticklake land capture`: WebSocket captures, with the order book rebuilt."""

from typing import Any
from urllib.parse import urlsplit

import click

from ticklake.commands.land.run import landing_options, names, run
from ticklake.lake.root import lake_root


class Capture(click.Path):
    """A file that exists, or a URL."""

    name = "capture"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if "://" not in value:
            return super().convert(value, param, ctx)
        if value.startswith("http") and urlsplit(value).query:
            # Perhaps a signature: it would be printed, and kept in names.
            self.fail("A URL with a query cannot be landed: download it first.", param, ctx)
        return value


@click.command()
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=Capture(exists=True, dir_okay=False),
)
@click.option(
    "--exchange",
    required=True,
    help="The venue: binance (spot), binance-futures (USD-M) or binance-delivery (COIN-M).",
)
@click.option(
    "--symbols",
    help="Only these, e.g. BTCUSDT,ETHUSDT. Landing again with others adds them.",
)
@click.option(
    "--snapshots-of",
    metavar="SYMBOL",
    help="Whose are the snapshots of the book that name no symbol. Needed where a file has several "
    "symbols.",
)
@click.option(
    "--book-interval",
    type=click.IntRange(0),
    default=0,
    show_default="every update",
    metavar="MS",
    help="Keep the last state of the book in each interval of event time, and every reset.",
)
@click.option(
    "--levels",
    type=click.IntRange(1, 1000),
    default=20,
    show_default=True,
    help="Levels of the book, a side.",
)
@click.option(
    "--trades",
    type=click.Choice(["trade", "aggTrade"]),
    help="Which events of trades to land. Needed where a symbol has both.",
)
@click.option(
    "--book",
    type=click.Choice(["depth", "depth5", "depth10", "depth20"]),
    help="Which stream of the book to land. Needed if a symbol has several.",
)
@landing_options
def capture(
    files: tuple[str, ...],
    exchange: str,
    symbols: str | None,
    snapshots_of: str | None,
    book_interval: int,
    levels: int,
    trades: str | None,
    book: str | None,
    workers: int,
    force: bool,
) -> None:
    """Land captures of Binance's WebSocket streams: JSON lines, plain or .gz.

    A line is a message, with or without the time it was received in front (ns since 1970), and with
    or without its stream. trade or aggTrade becomes trades; bookTicker becomes tickers;
    markPriceUpdate becomes mark_prices and funding_rates; depthUpdate and the snapshots of the book
    become order_book, as do partial books (@depth5, @depth10, @depth20), and snapshots alone if
    there is nothing else. Other events of Binance are counted and left out; messages of other
    venues are set aside in quarantine. Of a .gz that is cut all whole lines land.

    Each file is landed alone: its book begins with its first snapshot, so a collector should write
    one into each file it begins.
    """
    from loaders.capture.captures import EXCHANGES, CaptureParser, captures

    if exchange not in EXCHANGES:
        raise click.BadParameter(
            f"{exchange!r} is none of those whose captures can be read: {', '.join(EXCHANGES)}.",
            param_hint="--exchange",
        )
    wanted = names(symbols, "--symbols")
    parser = CaptureParser(exchange, levels, book_interval, snapshots_of, trades, book)
    run(captures(lake_root(), files, parser, wanted, workers, force), must_exist=True)
