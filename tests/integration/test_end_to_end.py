"""The real project: source files in, tables out."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import lz4.frame
import pytest
import yaml

from loaders.hyperliquid.schema import DECIMALS
from tests import commands
from tests.conftest import Lake
from ticklake.lake.connection import prepare
from ticklake.lake.quarantine import things_set_aside
from ticklake.lake.storage import open_storage

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
TABLES = sum(
    mark in path.read_text()
    for folder, pattern, mark in (
        ("models", "*.sql", "materialized='lake'"),
        ("python_models", "*.yml", "materialized: lake"),
    )
    for path in (REPOSITORY / folder).rglob(pattern)
)
UNIT_TESTS = sum(
    len(yaml.safe_load(path.read_text()).get("unit_tests", []))
    for folder in ("models", "python_models")
    for path in (REPOSITORY / folder).rglob("*.yml")
)


class Operator:
    """Runs commands as an operator does, on one lake, each in a process of its own."""

    def __init__(self, root: str, env: dict[str, str], folder: Path) -> None:
        self.root, self.folder = root, folder
        self.env = {
            **os.environ,
            **env,
            "LAKE_ROOT": root,
            **commands.places(folder),
        }
        self.database = Path(self.env["TICKLAKE_DB"])
        self.storage = open_storage(root)

    def run(self, *command: str, expect: int = 0, **env: str) -> str:
        finished = commands.run(command, REPOSITORY, {**self.env, **env})
        assert finished.returncode == expect, finished.output
        return finished.output

    def land(self, source: Path, *options: str, expect: int = 0) -> str:
        days = ("--start", "20250801", "--end", "20250801")
        return self.run(
            "ticklake", "land", "hyperliquid", "--source", str(source), *days, *options,
            "--workers", "1", expect=expect,
        )  # fmt: skip

    def build(self, *options: str, expect: int = 0, **env: str) -> str:
        return self.run("dbt", "--no-use-colors", "build", *options, expect=expect, **env)

    def build_tables(self, *options: str, expect: int = 0, **env: str) -> str:
        """Build without testing."""
        types = ("--resource-type", "model", "--resource-type", "seed")
        return self.build(*types, *options, expect=expect, **env)

    def listed(self, *options: str) -> list[str]:
        """Return what dbt selects."""
        return self.run("dbt", "--quiet", "ls", *options).split()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            prepare(connection, self.storage)
            return connection.execute(sql).fetchall()

    def hashes(self) -> dict[str, str]:
        return {
            entry.path: hashlib.sha256(self.storage.read(entry.path)).hexdigest()
            for entry in self.storage.entries("")
            if entry.path.endswith("/data.parquet")
        }


@pytest.fixture
def operator(lake: Lake, tmp_path: Path) -> Operator:
    return Operator(lake.root, lake.env, tmp_path)


def sample(folder: Path, seed: int = 1, fills: int = 60) -> Path:
    command = [str(BIN / "ticklake"), "sample", "--days", "1", "--seed", str(seed)]
    command += ["--only", "hyperliquid", "--fills-per-hour", str(fills), str(folder)]
    subprocess.run(command, check=True)
    return folder


def hour(source: Path, number: int) -> Path:
    return source / f"node_fills_by_block/hourly/20250801/{number}.lz4"


def test_sample_files_become_tables_on_any_lake_and_a_second_build_does_nothing(
    operator: Operator, tmp_path: Path
) -> None:
    source = sample(tmp_path / "source")
    assert "24 landed, 0 skipped, 0 quarantined, 0 missing" in operator.land(source)
    operator.build()
    again = operator.build()
    assert again.count("0 built, 0 dropped") == TABLES
    assert "recomputed" not in again
    assert operator.query(
        "select count(*) > 0, bool_and(is_complete or date = '2025-08-01') from bars.time_bars"
    ) == [(True, True)]
    assert operator.query(
        "select count(*) from bars.time_bars where date = '2025-07-31' and not is_complete"
    ) == [(0,)]
    (fills,) = operator.query("select count(*) from compacted.fills")[0]
    assert fills == operator.query("select count(*) from raw.fills")[0][0]


def test_segments_with_text_in_place_of_numbers_give_the_same_fills(tmp_path: Path) -> None:
    """Fills that were landed before prices were decimals, and those of other collectors."""
    operator = Operator(str(tmp_path / "lake"), {}, tmp_path)
    operator.land(sample(tmp_path / "source", fills=20))
    operator.build_tables("--select", "fills")
    before = operator.hashes()
    fills = operator.query("select count(*) from raw.fills")
    folder = tmp_path / "lake/raw/fills/exchange=hyperliquid/date=2025-08-01"
    segments = sorted(folder.glob("*.parquet"))
    for segment in segments[::2]:
        write_with_text(segment, segment)
    foreign = folder / "foreign.parquet"
    write_with_text(segments[1], foreign)
    operator.build_tables("--select", "fills")
    assert operator.hashes() == before
    operator.run("dbt", "test", "--select", "assert_fills_are_the_distinct_raw_fills")
    assert operator.query("select distinct typeof(px) from raw.fills") == [("DECIMAL(38,12)",)]
    assert operator.query("select count(*) from raw.fills") > fills
    for text in ("1e5", "0.1234567890123"):
        write_with_text(segments[1], foreign, text)
        operator.build_tables("--select", "fills")
        (aside,) = things_set_aside(operator.storage).values()
        assert aside.error_type == "BAD_DECIMAL"
        assert text in aside.message
        assert operator.hashes() == before


def write_with_text(segment: Path, target: Path, price: str | None = None) -> None:
    """Write a segment with its numbers as the venue writes them, and one price as given."""
    texts = {name: f"""regexp_replace("{name}"::varchar, '0+$', '0')""" for name in DECIMALS}
    if price is not None:
        texts["px"] = f"if(file_row_number = 1, '{price}', {texts['px']})"
    numbers = ", ".join(f'{text} as "{name}"' for name, text in texts.items())
    query = f"""select * exclude (file_row_number) replace ({numbers})
        from read_parquet('{segment}', file_row_number = true) order by file_row_number"""
    other = target.with_suffix(".text")
    with duckdb.connect() as connection:
        connection.execute(f"copy ({query}) to '{other}' (format parquet)")
    other.replace(target)


def test_unit_tests_run_by_name_and_with_dbt_test_and_not_in_a_plain_build(tmp_path: Path) -> None:
    operator = Operator(str(tmp_path / "lake"), {}, tmp_path)
    everything = operator.listed("--resource-type", "all")
    unit_tests = operator.listed("--select", "test_type:unit")
    assert len(unit_tests) == UNIT_TESTS
    assert set(unit_tests) <= set(everything)
    assert not set(unit_tests) & set(operator.listed("--selector", "all_but_unit_tests"))
    plain = operator.build()  # on an empty lake: unit tests bring their rows along
    _, is_default, ran = plain.partition("Using default selector all_but_unit_tests")
    assert is_default
    assert " data tests" in ran
    assert "unit test" not in ran
    assert "PASS trades::" in operator.build("--select", "trades")
    tested = operator.run("dbt", "--no-use-colors", "test", "--select", "test_type:unit")
    assert tested.count(f" of {UNIT_TESTS} PASS ") == UNIT_TESTS


def test_the_real_hour_gives_the_counts_known_by_hand(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    shutil.copytree(shared_data / "hl-mainnet-node-data", source)
    os.chmod(hour(source, 0), 0o644)
    operator = Operator(str(tmp_path / "lake"), {}, tmp_path)
    assert "1,014 rows" in operator.land(source)
    operator.build()
    fills = "select count(*), count_if(date = '2025-07-31'), count_if(tid = 0) from compacted.fills"
    assert operator.query(fills) == [(1014, 12, 712)]
    assert operator.query("select count(*), count_if(leg_count = 2) from compacted.trades") == [
        (151, 151)
    ]
    traded = operator.query(
        "select date, symbol, sum(volume) from bars.time_bars where bar_seconds = 60 group by all"
    )
    assert {(str(date), symbol): volume for date, symbol, volume in traded} == taken(
        hour(source, 0)
    )
    assert operator.query("select distinct date, is_complete from bars.time_bars order by 1") == [
        (date(2025, 7, 31), True),
        (date(2025, 8, 1), False),
    ]
    os.utime(hour(source, 0))  # touched: landed again, to the same bytes
    assert "1 landed" in operator.land(source)
    again = operator.build()
    assert again.count("0 built, 0 dropped") == TABLES
    assert "recomputed" not in again


def taken(path: Path) -> dict[tuple[str, str], Decimal]:
    """Add up the taker legs of an hour file by day and coin, the slow and obvious way."""
    volumes: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in lz4.frame.open(path).read().splitlines():
        for _, fill in json.loads(line)["events"]:
            if fill["crossed"] and fill["tid"]:
                day = datetime.fromtimestamp(fill["time"] // 1000, UTC).date()
                volumes[str(day), fill["coin"]] += Decimal(fill["sz"])
    return dict(volumes)


@pytest.mark.parametrize(
    ("seed", "actions"),
    [(1, ("kill", "land changed", "other bars", "delete", "kill", "land more"))],
)
def test_whatever_happened_a_build_equals_a_full_refresh(
    actions: Sequence[str], seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All that can happen, once; `test_incremental.py` has random histories of small tables."""
    folder = tmp_path_factory.mktemp("history")
    operator = Operator(str(folder / "lake"), {}, folder)
    archive, changed = (
        sample(folder / "archive", seed, 20),
        sample(folder / "changed", seed + 1, 20),
    )
    source = folder / "source"
    hour(source, 0).parent.mkdir(parents=True)
    landed = 0

    def land_more() -> None:
        nonlocal landed
        for number in range(landed, min(landed + 2, 24)):
            shutil.copy(hour(archive, number), hour(source, number))
        landed = min(landed + 2, 24)
        operator.land(source)

    def land_changed() -> None:
        shutil.copy(hour(changed, 0), hour(source, 0))
        operator.land(source)

    def delete() -> None:
        segments = sorted(entry.path for entry in operator.storage.entries("raw/fills"))
        operator.storage.delete(segments[seed % len(segments)])

    steps = {
        "land more": land_more,
        "land changed": land_changed,
        "delete": delete,
        "kill": lambda: (
            operator.build_tables(expect=9, TICKLAKE_DIE_AFTER=str(1 + seed % 7))
            if not operator.hashes()
            else operator.build_tables("--full-refresh", expect=9, TICKLAKE_DIE_AFTER="3")
        ),
        "other bars": lambda: operator.build_tables(
            "--vars", "{bar_seconds: [60], bars_per_day: 9}"
        ),
    }
    land_more()
    for action in actions:
        steps[action]()
    operator.build()
    incremental = operator.hashes()
    for layer in ("compacted", "featured", "bars", "marts", "_cache"):
        shutil.rmtree(folder / "lake" / layer, ignore_errors=True)
    operator.build_tables("--full-refresh")
    assert operator.hashes() == incremental
