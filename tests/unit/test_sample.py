"""Sample files hold what makes the real ones hard, and are the same for the same seed."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import lz4.frame
import pytest
from click.testing import CliRunner

from ticklake.cli import main
from ticklake.sample.archive import write_sample
from ticklake.sample.market import DUST_USERS, ZERO_HASH

FOLDER = "node_fills_by_block/hourly"


@dataclass(frozen=True)
class Sample:
    folder: Path
    blocks: dict[str, list[dict[str, Any]]]

    def fills(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        for blocks in self.blocks.values():
            for block in blocks:
                for user, fill in block["events"]:
                    yield block["block_number"], user, fill


def read(folder: Path) -> Sample:
    blocks = {}
    for day in ("20250801", "20250802"):
        for hour in range(24):
            packed = (folder / FOLDER / day / f"{hour}.lz4").read_bytes()
            lines = lz4.frame.decompress(packed).splitlines()
            blocks[f"{day}/{hour}"] = [json.loads(line) for line in lines]
    return Sample(folder, blocks)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    list(write_sample(folder, start=date(2025, 8, 1), days=2, seed=1, fills_per_hour=300))
    return read(folder)


def content(folder: Path) -> dict[str, bytes]:
    files = sorted((folder / FOLDER).rglob("*.lz4"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(
    sample: Sample, tmp_path: Path
) -> None:
    runner = CliRunner()
    for name, seed in (("same", "1"), ("other", "2")):
        command = ["sample", "--seed", seed, "--only", "hyperliquid", str(tmp_path / name)]
        result = runner.invoke(main, command)
        assert result.exit_code == 0, result.output
    assert content(tmp_path / "same") == content(sample.folder)
    assert content(tmp_path / "other").keys() == content(sample.folder).keys()
    assert content(tmp_path / "other") != content(sample.folder)


def test_a_start_before_the_archive_was_by_block_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["sample", "--start", "20250101", str(tmp_path)])
    assert result.exit_code == 2
    assert "20250728" in result.output


@pytest.mark.parametrize(
    ("day", "before"), [("20250801", "2025-07-31"), ("20250802", "2025-08-01")]
)
def test_each_day_begins_with_fills_of_the_day_before(
    sample: Sample, day: str, before: str
) -> None:
    first = sample.blocks[f"{day}/0"][0]
    assert first["block_time"].startswith(f"{before}T23:59:59.99")
    assert first["local_time"].startswith(f"{day[:4]}-{day[4:6]}-{day[6:]}T00:00:00")
    assert first["events"]


def test_each_midnight_has_a_one_sided_dust_conversion(sample: Sample) -> None:
    for day in ("20250801", "20250802"):
        dust = [
            fill
            for block in sample.blocks[f"{day}/0"]
            for _, fill in block["events"]
            if fill["dir"] == "Spot Dust Conversion"
        ]
        assert len(dust) == DUST_USERS
        assert {fill["tid"] for fill in dust} == {0}
        assert {fill["hash"] for fill in dust} == {ZERO_HASH}
        assert len({fill["oid"] for fill in dust}) == 1
        assert {fill["crossed"] for fill in dust} == {True}


def test_the_legs_of_a_trade_agree_and_the_buyer_comes_first(sample: Sample) -> None:
    legs: dict[tuple[int, str, int], list[dict[str, Any]]] = {}
    for block, _, fill in sample.fills():
        if fill["tid"]:
            legs.setdefault((block, fill["coin"], fill["tid"]), []).append(fill)
    one_sided = {key[1] for key, fills in legs.items() if len(fills) == 1}
    assert one_sided == {"#1890"}
    for fills in legs.values():
        if len(fills) == 2:
            assert [fill["side"] for fill in fills] == ["B", "A"]
            assert sorted(fill["crossed"] for fill in fills) == [False, True]
            for name in ("px", "sz", "hash", "time"):
                assert fills[0][name] == fills[1][name]
            assert fills[0].get("liquidation") == fills[1].get("liquidation")
    assert max(map(len, legs.values())) == 2


def test_everything_that_is_rare_in_the_archive_is_there(sample: Sample) -> None:
    found: Counter[str] = Counter()
    users: dict[tuple[int, int], set[str]] = {}
    for block, user, fill in sample.fills():
        found[fill["coin"]] += 1
        found[fill["dir"]] += 1
        found.update(name for name, value in fill.items() if value is not None)
        found["rebate"] += fill["fee"].startswith("-")
        found["twap slice"] += fill["twapId"] is not None and fill["hash"] == ZERO_HASH
        if fill["tid"] and fill["coin"] != "#1890":
            users.setdefault((block, fill["tid"]), set()).add(user)
    found["self-trade"] = sum(len(both) == 1 for both in users.values())
    for name in (
        *("BTC", "xyz:TSLA", "@107", "PURR/USDC", "kPEPE", "#1890"),
        *("liquidation", "builder", "builderFee", "deployerFee", "priorityGas", "cloid"),
        *("Open Long", "Close Short", "Long > Short", "Buy", "Sell"),
        *("rebate", "twap slice", "self-trade"),
    ):
        assert found[name], f"no {name} in the sample"


def test_blocks_have_holes_empty_ones_and_some_over_two_lines(sample: Sample) -> None:
    numbers = [block["block_number"] for blocks in sample.blocks.values() for block in blocks]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) < len(numbers)
    assert max(numbers) - min(numbers) > len(numbers)
    assert any(not block["events"] for blocks in sample.blocks.values() for block in blocks)
    written = [block["local_time"] for blocks in sample.blocks.values() for block in blocks]
    assert written == sorted(written)


def test_positions_follow_from_the_fills_before(sample: Sample) -> None:
    positions: dict[tuple[str, str], Decimal] = {}
    for _, user, fill in sample.fills():
        if fill["tid"] == 0:
            continue
        key = (user, fill["coin"])
        start = Decimal(fill["startPosition"])
        assert positions.get(key, start) == start
        size = Decimal(fill["sz"])
        positions[key] = start + (size if fill["side"] == "B" else -size)


def test_the_time_of_a_fill_is_its_block_time_in_milliseconds(sample: Sample) -> None:
    for blocks in sample.blocks.values():
        for block in blocks:
            fraction = block["block_time"].partition(".")[2]
            assert len(fraction) == 9
            assert all(fill["time"] % 1000 == int(fraction[:3]) for _, fill in block["events"])
