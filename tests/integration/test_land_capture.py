"""`ticklake land capture`, from the command line to what lies in the lake."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.captures import Market
from ticklake.cli import main

Lake = Any  # the fixture of tests/conftest.py
Land = Callable[..., Result]

pytestmark = pytest.mark.parametrize("lake", ["local"], indirect=True)
COUNTS = """
    select channel, count(*) from (
        select parse_path(filename)[-5] as channel
        from read_parquet('{root}/raw/*/*/*/*/*.parquet', filename = true, union_by_name = true)
    ) group by all order by all
"""


@pytest.fixture
def land(lake: Lake) -> Land:
    def run(*arguments: Any, exchange: str = "binance-futures") -> Result:
        command = ["land", "capture", *map(str, arguments), "--exchange", exchange]
        return CliRunner().invoke(main, [*command, "--workers", "1"])

    return run


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "btcusdt_2024080823.jsonl.gz"
    path.write_bytes(gzip.compress("".join(Market(seed=3).lines(3_000)).encode()))
    return path


def counts(lake: Lake) -> dict[str, int]:
    rows = lake.connect().execute(COUNTS.format(root=lake.root)).fetchall()
    return {str(channel): count for channel, count in rows}


def test_lands_all_channels_once(lake: Lake, land: Land, capture: Path) -> None:
    first = land(capture)
    assert first.exit_code == 0, first.output
    landed = counts(lake)
    assert landed.keys() == {"order_book", "tickers", "trades"}
    assert min(landed.values()) > 100
    again = land(capture)
    assert "1 skipped" in again.output
    assert counts(lake) == landed


def test_other_settings_of_the_book_land_it_again(lake: Lake, land: Land, capture: Path) -> None:
    land(capture)
    every = counts(lake)
    assert land(capture, "--book-interval", 1000, "--levels", 5).exit_code == 0
    thin = counts(lake)
    assert thin["order_book"] < every["order_book"] / 5
    assert thin["trades"] == every["trades"]


def test_a_bad_line_is_in_quarantine_and_the_rest_lands(
    lake: Lake, land: Land, tmp_path: Path
) -> None:
    lines = list(Market(seed=3).lines(1_000))
    lines[10] = '{"e":"listing"}\n'
    (tmp_path / "plain.jsonl").write_text("".join(lines))
    result = land(tmp_path / "plain.jsonl")
    assert result.exit_code == 1
    assert "UNKNOWN_STREAM 1" in result.output
    (rejected,) = Path(lake.root).glob("quarantine/capture/*/rejected.jsonl")
    entry = json.loads(rejected.read_text())
    assert (entry["line"], entry["text"]) == (11, '{"e":"listing"}')
    assert counts(lake)["order_book"] > 50


def test_a_capture_of_two_symbols_needs_to_know_whose_its_snapshots_are(
    lake: Lake, land: Land, tmp_path: Path
) -> None:
    markets = Market(seed=3).lines(1_000), Market(seed=4, symbol="ETHUSDT").lines(10)
    (tmp_path / "two.jsonl").write_text("".join(line for made in markets for line in made))
    result = land(tmp_path / "two.jsonl", "--symbols", "BTCUSDT")
    assert result.exit_code == 1
    assert "AMBIGUOUS_SNAPSHOT" in result.output
    again = land(tmp_path / "two.jsonl", "--symbols", "BTCUSDT", "--snapshots-of", "BTCUSDT")
    assert again.exit_code == 0, again.output
    assert counts(lake)["order_book"] > 50
    assert not list(Path(lake.root).glob("raw/*/*/symbol=ETHUSDT"))


def test_executions_that_are_there_as_trades_and_aggregates_land_once(
    lake: Lake, land: Land, tmp_path: Path
) -> None:
    head = '"E":1723161256322,"T":1723161256322,"s":"BTCUSDT"'
    rest = '"p":"1.0","m":false}\n'
    lines = [
        f'{{"e":"trade",{head},"t":7,"q":"1",{rest}',
        f'{{"e":"trade",{head},"t":8,"q":"1",{rest}',
        f'{{"e":"aggTrade",{head},"a":7,"f":7,"l":8,"q":"2",{rest}',
    ]
    file = tmp_path / "both.jsonl"
    file.write_text("".join(lines))
    result = land(file)
    assert result.exit_code == 1
    assert "AMBIGUOUS_TRADES" in result.output
    assert land(file, "--trades", "trade").exit_code == 0
    assert counts(lake) == {"trades": 2}
    assert land(file, "--trades", "aggTrade").exit_code == 0
    assert counts(lake) == {"trades": 1}


def test_symbols_that_are_nowhere_are_a_failure(lake: Lake, land: Land, capture: Path) -> None:
    for _ in range(2):  # landed, then skipped
        result = land(capture, "--symbols", "btcusdt")
        assert result.exit_code == 1
        assert "Nothing in these objects is of btcusdt." in result.output
    assert land(capture, "--symbols", "BTCUSDT").exit_code == 0


def test_of_a_cut_file_all_whole_lines_land(lake: Lake, land: Land, capture: Path) -> None:
    land(capture)
    before = counts(lake)
    capture.write_bytes(capture.read_bytes()[:-20])
    result = land(capture)
    assert result.exit_code == 1
    assert "GZIP_TRUNCATED 1" in result.output
    after = counts(lake)
    assert after.keys() == before.keys()
    assert 0 < sum(before.values()) - sum(after.values()) < 50


def test_says_which_exchanges_it_knows(lake: Lake, land: Land, capture: Path) -> None:
    result = land(capture, exchange="kraken")
    assert result.exit_code == 2
    assert "binance, binance-delivery, binance-futures" in result.output


def test_a_signed_url_is_refused_and_not_printed(lake: Lake, land: Land) -> None:
    result = land("https://example.com/btcusdt.jsonl.gz?X-Amz-Signature=secret")
    assert result.exit_code == 2
    assert "A URL with a query cannot be landed" in result.output
    assert "secret" not in result.output


def test_a_file_that_is_not_there_is_told_before_anything_lands(
    lake: Lake, land: Land, capture: Path
) -> None:
    result = land(capture, capture.parent / "none" / "00.jsonl")
    assert result.exit_code == 2
    assert "00.jsonl" in result.output
    assert not Path(lake.root).exists()
