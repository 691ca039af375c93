"""The fills of the Hyperliquid node archive."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from loaders.hyperliquid.archive import objects_between
from loaders.landing import Item, Request, opened
from loaders.source import Source, SourceObject

if TYPE_CHECKING:
    from loaders.worker import Sink

LOADER: Final = "hyperliquid"


def fills_between(
    root: str,
    source: str,
    start: date,
    end: date,
    coins: Sequence[str] | None = None,
    workers: int = 1,
    force: bool = False,
) -> Request:
    """Return the request for the hours of the days from `start` to `end`, both included."""
    items = [
        Item(source, hour.path, hour.name, FillsParser(hour.by_block))
        for hour in objects_between(start, end)
    ]
    again = (
        f"ticklake land hyperliquid --source {opened(source).location} "
        f"--start {start:%Y%m%d} --end {end:%Y%m%d}"
    ) + (f" --coins {','.join(coins)}" if coins else "")
    return Request(root, LOADER, items, coins, workers, force, again, remembers_absent=True)


@dataclass(frozen=True, slots=True)
class FillsParser:
    """Reads one hour of fills, chunk by chunk: the fast way where it can be, else line by line."""

    by_block: bool
    """Whether a line is a block of fills, and not one fill."""

    def parse(self, source: Source, found: SourceObject, sink: "Sink") -> None:
        """Read an hour. Raises BrokenObjectError."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from loaders.decode import chunks, count_lines
        from loaders.hyperliquid.batches import read_batch
        from loaders.hyperliquid.records import Position, read_lines

        coins = None if sink.symbols is None else pa.array(sorted(sink.symbols), pa.string())
        position = Position()
        with source.open(found.path) as stream:
            for chunk in chunks(stream):
                rows = read_batch(chunk.text, position, by_block=self.by_block)
                if rows is None:
                    rows = read_lines(chunk.text, chunk.offset, position, by_block=self.by_block)
                    # Each line is opened and gives its fills, or is rejected as a whole.
                    sink.read(count_lines(chunk.text) - rows.opened)
                sink.read(rows.events)
                for reject in rows.rejects:
                    sink.reject_as(reject)
                for name, count in rows.extra.items():
                    sink.extra(name, count)
                kept = rows.table
                if coins is not None:
                    kept = kept.filter(pc.is_in(kept["coin"], coins))
                    if kept.num_rows < rows.table.num_rows:
                        sink.skip("other symbols", rows.table.num_rows - kept.num_rows)
                sink.rows("fills", kept, exchange="hyperliquid")
