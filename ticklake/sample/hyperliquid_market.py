"""Hyperliquid's other archive: book snapshots by coin and hour, asset contexts by day.

Some snapshots are missing, once for longer than a feature may look back over; some come twice; the
book is crossed, locked, one-sided and empty for a while.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np

from ticklake.sample.derivatives import HOUR_US, Derivative
from ticklake.sample.feeds import DAY_US, MINUTE_US, Period
from ticklake.sample.files import SampleFile, write_file
from ticklake.sample.listings import Listing
from ticklake.sample.market import decimal
from ticklake.sample.prices import PricePath, generator
from ticklake.sample.simulation import ASK, BID, FAULTS, Book, Ints, simulate_book

LEVELS: Final = 20
BOOK_HOURS: Final = (0, 12)
"""The hours of each day for which there are books: the archive has holes."""
SNAPSHOT_EVERY_US: Final = 5_000_000
MISSED_SHARE: Final = 0.01
HOLE: Final = (0.7, 0.82)
"""The part of an hour, seven minutes, of which nothing was recorded."""
CONTEXTS: Final = (
    "time,coin,funding,open_interest,prev_day_px,day_ntl_vlm,premium,oracle_px,mark_px,mid_px,"
    "impact_bid_px,impact_ask_px"
)


def write_books(
    folder: Path, listing: Listing, path: PricePath, period: Period
) -> Iterator[SampleFile]:
    """Write an LZ4 file an hour: a snapshot of 20 levels a side about every five seconds."""
    for day in period.day_begins():
        for hour in BOOK_HOURS:
            begin = day + hour * HOUR_US
            rng = generator(period.seed, "l2Book", listing.symbol, str(begin))
            count = max(1, round(HOUR_US / SNAPSHOT_EVERY_US * period.scale))
            places = (np.arange(count) + rng.random(count) * 0.4) / count
            is_kept = rng.random(count) > MISSED_SHARE
            is_kept &= (places < HOLE[0]) | (places > HOLE[1])
            ts_us = begin + (places[is_kept] * HOUR_US).astype(np.int64) // 1_000 * 1_000
            faults = [(kind + 1) * len(ts_us) // 7 for kind in range(len(FAULTS))]
            book = simulate_book(listing, path, ts_us, rng, density=0.7, faults_at=faults)
            twice = set(rng.integers(0, len(book), 3).tolist())
            lines = []
            for event in range(len(book)):
                lines += [_line(book, event, rng)] * (2 if event in twice else 1)
            at = datetime.fromtimestamp(begin // 10**6, UTC)
            name = f"market_data/{at:%Y%m%d}/{at.hour}/l2Book/{listing.symbol}.lz4"
            yield write_file(folder / name, "".join(lines).encode(), len(lines))


def write_contexts(
    folder: Path, derivatives: list[Derivative], period: Period
) -> Iterator[SampleFile]:
    """Write an LZ4 CSV a day: what the venue said of each coin, each minute."""
    for day in period.day_begins():
        times = np.arange(day, day + DAY_US, MINUTE_US)
        lines = [f"{CONTEXTS}\n"]
        columns = [_contexts(derivative, times) for derivative in derivatives]
        for minute in zip(*columns, strict=True):
            lines += minute
        name = f"asset_ctxs/{datetime.fromtimestamp(day // 10**6, UTC):%Y%m%d}.csv.lz4"
        yield write_file(folder / name, "".join(lines).encode(), len(lines) - 1)


def _line(book: Book, event: int, rng: np.random.Generator) -> str:
    listing, at_us = book.listing, int(book.ts_us[event])
    sides = []
    for side in (BID, ASK):
        levels = (
            f'{{"px":"{decimal(price, listing.price_digits)}",'
            f'"sz":"{decimal(size, listing.size_digits)}","n":{1 + size % 7}}}'
            for price, size in book.levels(event, side)[:LEVELS]
        )
        sides.append(f"[{','.join(levels)}]")
    written_ns = at_us * 1_000 + int(rng.integers(100_000_000, 900_000_000))
    seconds, fraction = divmod(written_ns, 10**9)
    written = f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}"
    return (
        f'{{"time":"{written}","raw":{{"channel":"l2Book","data":{{"coin":"{listing.symbol}",'
        f'"time":{at_us // 1_000},"levels":[{",".join(sides)}]}}}}}}\n'
    )


def _contexts(derivative: Derivative, times: Ints) -> list[str]:
    listing = derivative.listing
    marks, oracles = derivative.mark_price(times), derivative.index_price(times)
    before = derivative.index_price(times - DAY_US)
    lines = []
    for at_us, mark, oracle, prev in zip(
        times.tolist(), marks.tolist(), oracles.tolist(), before.tolist(), strict=True
    ):
        rate = derivative.funding_rate(derivative.next_funding_us(at_us))
        step = 10.0**-listing.price_digits
        digits = listing.price_digits + 1
        at = datetime.fromtimestamp(at_us // 10**6, UTC)
        lines.append(
            f"{at:%Y-%m-%dT%H:%M:%S}Z,{listing.symbol},{rate:.8f},{30_000 + at_us % 977:.5f},"
            f"{prev:.{digits}f},{2.5e9 + at_us % 7_919_000:.2f},{mark / oracle - 1:.8f},"
            f"{oracle:.{digits}f},{mark:.{digits}f},{mark + step / 2:.{digits}f},"
            f"{mark - step:.{digits}f},{mark + 2 * step:.{digits}f}\n"
        )
    return lines
