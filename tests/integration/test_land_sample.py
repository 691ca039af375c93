"""What the loaders make of the sample files is what happened on the simulated market."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from ticklake.cli import main
from ticklake.sample.feeds import Feed, Period
from ticklake.sample.simulation import ASK, BID
from ticklake.sample.sources import futures_feeds, write_market

PERIOD = Period(1_754_006_400 * 10**6, days=1, seed=3)
LEVELS = 20


@pytest.fixture
def land(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LAKE_ROOT", str(tmp_path / "lake"))

    def command(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["land", *arguments, "--workers", "1"])
        assert result.exit_code == 0, result.output
        return result.output

    return command


def rows(lake: Path, channel: str, symbol: str) -> list[dict[str, Any]]:
    files = sorted(lake.glob(f"raw/{channel}/exchange=binance-futures/symbol={symbol}/*/*.parquet"))
    assert files
    return [row for file in files for row in pq.read_table(file, partitioning=None).to_pylist()]


def levels(feed: Feed, event: int, side: int) -> list[dict[str, float]]:
    price_unit, size_unit = 10**feed.listing.price_digits, 10**feed.listing.size_digits
    return [
        {"price": price / price_unit, "size": size / size_unit}
        for price, size in feed.book.levels(event, side)[:LEVELS]
    ]


def test_the_books_landed_from_captures_are_those_of_the_market(tmp_path: Path, land: Any) -> None:
    files = write_market(
        tmp_path, start=date(2025, 8, 1), days=1, seed=3, sources=["binance-futures"]
    )
    captures = [str(file.path) for file in files if file.path.name.endswith(".jsonl.gz")]
    land("capture", "--exchange", "binance-futures", "--levels", str(LEVELS), *captures)
    for feed in futures_feeds(PERIOD, PERIOD.paths()):
        events = {int(last_id): event for event, last_id in enumerate(feed.book.update_id)}
        landed = rows(tmp_path / "lake", "order_book", feed.listing.symbol)
        for row in landed:
            event = events[row["seq"]]
            assert row["bids"] == levels(feed, event, BID)
            assert row["asks"] == levels(feed, event, ASK)
            assert row["ts_event"].timestamp() * 1e6 == pytest.approx(feed.book.ts_us[event], abs=1)
        lost = len(feed.sessions[0]) - len({row["seq"] for row in landed})
        assert 0 < lost < 0.05 * len(feed.sessions[0]), "no more than what the connection lost"
        assert sum(row["is_reset"] for row in landed) == 2
