"""Landing captures of two busy hours, and the rebuilding of their order books alone.

python -m benchmarks.capture
"""

import gzip
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import HEADER, measure

if TYPE_CHECKING:
    from ticklake.microstructure.book_rebuild import BookEvents

SCALE = 60
LEVELS = 20
EVENTS = 20_000
DEPTH = 1_000
CHANGES = 35
"""Levels a side that an event changes: 34 in a real capture of BTCUSDT perpetuals."""
PLAIN_EVENTS = 1_000


def main() -> None:
    """Measure both and print what a second brings."""
    files = prepare()
    size = sum(len(gzip.decompress(file.read_bytes())) for file in files)
    print(f"\nLanding {len(files)} captures, {size / 1e6:.0f} MB of JSON\n{HEADER}")
    for workers in (1, 2):
        with tempfile.TemporaryDirectory(prefix="ticklake-bench-") as folder:
            command = ["-m", "ticklake.cli", "land", "capture", *map(str, files)]
            options = ["--exchange", "binance-futures", "--workers", str(workers)]
            cost = measure([sys.executable, *command, *options], {"LAKE_ROOT": f"{folder}/lake"})
        print(cost.row(f"ticklake land capture, {workers} processes"))
        print(f"{size / 1e6 / cost.wall:.0f} MB a second, {size / 1e6 / cost.cpu:.0f} a CPU second")
    rebuild()


def prepare() -> list[Path]:
    """Return the captures, written on the first call on a machine."""
    folder = Path(tempfile.gettempdir()) / f"ticklake-bench-captures-{SCALE}"
    if not folder.is_dir():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = ["-m", "ticklake.cli", "sample", str(unfinished), "--only", "binance-futures"]
        options = ["--days", "1", "--scale", str(SCALE)]
        subprocess.run([sys.executable, *command, *options], check=True, capture_output=True)
        unfinished.rename(folder)
    return sorted(folder.glob("capture/binance-futures/*.gz"))


def rebuild() -> None:
    """Measure the kernel beside the usual way: two dicts, sorted after each event."""
    from ticklake.microstructure.book_rebuild import BookRebuild, SequenceRule

    events = _deep_book()
    book = BookRebuild(SequenceRule.SPOT, levels=LEVELS)
    begin = time.perf_counter()
    for first in range(0, EVENTS, 1_000):
        book.feed(events.between(first, min(first + 1_000, EVENTS)))
    ours = (time.perf_counter() - begin) / EVENTS

    sides: list[tuple[dict[float, float], bool]] = [({}, True), ({}, False)]
    columns = [
        (side, levels.offsets.tolist(), levels.price.tolist(), levels.size.tolist())
        for (side, _), levels in zip(sides, (events.bids, events.asks), strict=True)
    ]
    begin = time.perf_counter()
    for event in range(PLAIN_EVENTS):
        for side, offsets, price, size in columns:
            for place in range(offsets[event], offsets[event + 1]):
                if size[place]:
                    side[price[place]] = size[place]
                else:
                    side.pop(price[place], None)
        for side, is_bid in sides:
            sorted(side.items(), reverse=is_bid)[:LEVELS]
    usual = (time.perf_counter() - begin) / PLAIN_EVENTS
    print(f"\nThe best {LEVELS} of {DEPTH:,} levels a side, {2 * CHANGES} changes an event")
    print(f"book_rebuild        {1 / ours:10,.0f} events a second")
    print(f"dicts, sorted       {1 / usual:10,.0f} events a second")


def _deep_book() -> "BookEvents":
    """Return a snapshot and differences that mostly change what is near the best prices."""
    import numpy as np

    from ticklake.microstructure.book_rebuild import BookEvents, Levels

    random = np.random.default_rng(1)
    offsets = np.concatenate(([0], DEPTH + CHANGES * np.arange(EVENTS)))

    def side(sign: int) -> Levels:
        away = np.minimum(random.exponential(60, CHANGES * (EVENTS - 1)).astype(int), DEPTH - 1)
        place = np.concatenate((np.arange(DEPTH), away))
        size = random.integers(1, 1_000, len(place)) / 1_000
        size[DEPTH:][random.random(len(away)) < 0.3] = 0
        return Levels(offsets, 60_000 + sign * (1 + place) / 10, size)

    ids = np.arange(EVENTS, dtype=np.int64)
    times = ids.astype("datetime64[us]")
    return BookEvents(ids == 0, ids, ids, ids - 1, times, times, side(-1), side(1))


if __name__ == "__main__":
    main()
