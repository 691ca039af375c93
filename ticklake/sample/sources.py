"""The sources of market data, all over one set of price paths."""

from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Final

from ticklake.sample import binance_capture, binance_files, collectors, hyperliquid_market, tardis
from ticklake.sample.binance_capture import busy_spans
from ticklake.sample.derivatives import HOUR_US, Derivative
from ticklake.sample.feeds import Feed, Period, make_feed
from ticklake.sample.files import SampleFile
from ticklake.sample.listings import (
    BTC_PERP,
    BTC_SPOT,
    COINBASE_BTC,
    DERIBIT_BTC,
    DERIBIT_ETH,
    DERIBIT_SOL,
    ETH_PERP,
    ETH_SPOT,
    HYPERLIQUID_BTC,
    HYPERLIQUID_ETH,
    HYPERLIQUID_SOL,
    OKX_BTC,
    SOL_PERP,
    Listing,
)
from ticklake.sample.prices import PricePath

Paths = dict[str, PricePath]


def write_market(
    folder: Path,
    *,
    start: date,
    days: int,
    seed: int,
    scale: float = 1.0,
    sources: Collection[str] | None = None,
) -> Iterator[SampleFile]:
    """Write the market data of some days below `folder`, of these sources or all.

    `scale` multiplies how much happens.
    """
    begin = datetime.combine(start, time(), UTC)
    period = Period(int(begin.timestamp()) * 10**6, days, seed, scale)
    paths = period.paths()
    for name, write in SOURCES.items():
        if sources is None or name in sources:
            yield from write(folder, period, paths)


def futures_feeds(period: Period, paths: Paths) -> list[Feed]:
    """Return what happened on the futures that are captured."""
    return [
        make_feed(
            listing,
            paths[listing.asset],
            period,
            busy=busy_spans(period),
            events=events,
            quiet_per_minute=quiet,
            first_id=first_id,
        )
        for listing, events, quiet, first_id in (
            (BTC_PERP, 2_000, 4, 6_482_000_000),
            (ETH_PERP, 1_500, 2, 7_482_000_000),
        )
    ]


def _futures(folder: Path, period: Period, paths: Paths) -> Iterator[SampleFile]:
    """Captured and published alike: the same trades with the same ids."""
    root = folder / "binance"
    for feed in futures_feeds(period, paths):
        derivative = Derivative(feed.listing, paths[feed.listing.asset], period.seed)
        yield from binance_capture.write_futures(folder, feed, derivative, period)
        yield from binance_files.write_trades(root, feed, period)
        yield from binance_files.write_klines(root, feed, period)
        yield from binance_files.write_mark_klines(root, derivative, period)
        yield from binance_files.write_funding(root, derivative, period)
    # Only published: aggregated trades and best prices.
    feed = make_feed(
        SOL_PERP,
        paths["SOL"],
        period,
        busy=[],
        events=0,
        quiet_per_minute=1,
        first_id=2_482_000_000,
    )
    yield from binance_files.write_agg_trades(root, feed, period)
    yield from binance_files.write_klines(root, feed, period)
    yield from binance_files.write_tickers(root, feed, period)


def _spot(folder: Path, period: Period, paths: Paths) -> Iterator[SampleFile]:
    feed = make_feed(
        BTC_SPOT,
        paths["BTC"],
        period,
        busy=busy_spans(period)[:1],
        events=1_200,
        quiet_per_minute=2,
        first_id=5_140_000_000,
        resolution_us=1,
    )
    root = folder / "binance"
    yield from binance_capture.write_spot(folder, feed, period)
    yield from binance_files.write_agg_trades(root, feed, period)
    yield from binance_files.write_spot_klines(root, feed, period)


def _tardis(folder: Path, period: Period, paths: Paths) -> Iterator[SampleFile]:
    def feed_of(listing: Listing, events: int) -> Feed:
        return make_feed(
            listing,
            paths[listing.asset],
            period,
            busy=_midnights(period),
            events=events,
            quiet_per_minute=0.3,
            first_id=300_000_000,
        )

    snapshots = ((DERIBIT_BTC, 1_000, 25), (DERIBIT_SOL, 700, 5))
    for listing, events, levels in snapshots:
        feed = feed_of(listing, events)
        yield from tardis.write_trades(folder, feed, period)
        yield from tardis.write_snapshots(folder, feed, period, levels)
        yield from tardis.write_quotes(folder, feed, period)
        derivative = Derivative(listing, paths[listing.asset], period.seed)
        yield from tardis.write_tickers(folder, feed, derivative, period)
    feed = feed_of(DERIBIT_ETH, 700)
    yield from tardis.write_trades(folder, feed, period)
    yield from tardis.write_increments(folder, feed, period)


def _hyperliquid(folder: Path, period: Period, paths: Paths) -> Iterator[SampleFile]:
    for listing in (HYPERLIQUID_BTC, HYPERLIQUID_ETH):
        yield from hyperliquid_market.write_books(folder, listing, paths[listing.asset], period)
    derivatives = [
        Derivative(listing, paths[listing.asset], period.seed, interval_hours=1)
        for listing in (HYPERLIQUID_BTC, HYPERLIQUID_ETH, HYPERLIQUID_SOL)
    ]
    yield from hyperliquid_market.write_contexts(folder, derivatives, period)


def _spool(folder: Path, period: Period, paths: Paths) -> Iterator[SampleFile]:
    for listing, write in (
        (OKX_BTC, collectors.write_ccxt),
        (ETH_SPOT, collectors.write_streams),
    ):
        feed = make_feed(
            listing,
            paths[listing.asset],
            period,
            busy=_midnights(period)[:1],
            events=500,
            quiet_per_minute=0,
            first_id=740_000_000,
        )
        yield from write(folder, feed)


def _csv(folder: Path, period: Period, paths: Paths) -> Iterator[SampleFile]:
    feed = make_feed(
        COINBASE_BTC,
        paths["BTC"],
        period,
        busy=[],
        events=0,
        quiet_per_minute=0.5,
        first_id=840_000_000,
        resolution_us=1,
    )
    yield from collectors.write_csv(folder, feed)


def _midnights(period: Period) -> list[tuple[int, int]]:
    return [(begin, begin + HOUR_US) for begin in period.midnight_hours()]


SOURCES: Final[dict[str, Callable[[Path, Period, Paths], Iterator[SampleFile]]]] = {
    "binance-futures": _futures,
    "binance-spot": _spot,
    "tardis": _tardis,
    "hyperliquid-market": _hyperliquid,
    "spool": _spool,
    "csv": _csv,
}
