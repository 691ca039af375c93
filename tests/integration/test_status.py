"""`ticklake status` shows what is there, what is missing and how old it is."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import Lake, _lake_at
from tests.integration.pipeline import Pipeline
from ticklake.cli import main
from ticklake.lake.status import missing


@pytest.fixture
def anywhere(lake: Lake) -> Pipeline:
    """A lake in which `A` lacks two days in a row and one, and `B/C` has the first day alone."""
    return built(lake)


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """The same in a local lake, where the place makes no difference."""
    return built(_lake_at(str(tmp_path / "lake"), {}, monkeypatch))


def built(lake: Lake) -> Pipeline:
    pipeline = Pipeline(lake.root, lake.storage, lake.connect())
    pipeline.land("x", "2025-01-01", "a", [(1, "A", 1), (2, "B/C", 2)])
    pipeline.land("x", "2025-01-04", "a", [(1, "A", 1), (86_399, "A", 2)])
    pipeline.land("x", "2025-01-06", "a", [(1, "A", 1)])
    pipeline.build()
    return pipeline


def status(*options: str) -> Result:
    result = CliRunner().invoke(main, ["status", *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def lines(*options: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in status("--json", *options).output.splitlines()]


def test_a_line_for_each_table_and_symbol(
    anywhere: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ticklake.commands.status.time.time_ns", lambda: 1_736_200_000 * 10**9)
    by_name = {(line["table"], line.get("symbol")): line for line in lines()}
    assert sorted(by_name, key=str) == [
        ("compacted.steps", "A"),
        ("compacted.steps", "B/C"),
        ("compacted.ticks", "A"),
        ("compacted.ticks", "B/C"),
        ("compacted.totals", None),
        ("raw.ticks", None),
    ]
    ticks = by_name["compacted.ticks", "A"]
    size = sum(
        entry.size
        for entry in anywhere.storage.entries("compacted/ticks/exchange=x/symbol=A")
    )  # fmt: skip
    assert ticks == {
        "table": "compacted.ticks",
        "exchange": "x",
        "symbol": "A",
        "partitions": 3,
        "rows": 4,
        "bytes": size,
        "first": "2025-01-01T00:00:01Z",
        "last": "2025-01-06T00:00:01Z",
        "first_date": "2025-01-01",
        "last_date": "2025-01-06",
        "age_seconds": 1_736_200_000 - 1_736_121_601,
        "holes": ["2025-01-02..03", "2025-01-05"],
        "damaged": 0,
    }
    assert by_name["compacted.totals", None]["first"] is None
    raw = by_name["raw.ticks", None]
    assert (raw["partitions"], raw["rows"], raw["holes"]) == (3, None, ticks["holes"])


def test_a_table_for_people(pipeline: Pipeline) -> None:
    header, *found = status("--table", "ticks", "--symbol", "A").output.splitlines()
    assert header.split() == [
        "table", "of", "partitions", "rows", "bytes", "first", "last", "age", "holes",
    ]  # fmt: skip
    assert found[0].split()[:5] == ["compacted.ticks", "x", "A", "3", "4"]
    assert found[0].endswith("2025-01-02..03 2025-01-05")
    assert found[1].split()[:4] == ["raw.ticks", "x", "3", "-"]
    assert "has nothing of that" in status("--exchange", "y").output


def test_a_terminal_gets_a_table_that_leaves_nothing_out(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what makes Rich take any output for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    output = status("--table", "compacted.ticks").output
    assert "compacted.ticks" in output
    assert "2025-01-06T00:00:01Z" in output
    assert "2025-01-02..03 2025-01-05" in output


def test_with_a_warm_cache_nothing_but_the_cache_is_read(
    anywhere: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(anywhere.storage)
    read, was_read, listed = kind.read, [], []
    entries = kind.entries

    def note_read(self: Any, path: str) -> bytes:
        was_read.append(path)
        return read(self, path)  # type: ignore[no-any-return]

    def note_listing(self: Any, prefix: str) -> Any:
        listed.append(prefix)
        return entries(self, prefix)

    monkeypatch.setattr(kind, "read", note_read)
    monkeypatch.setattr(kind, "entries", note_listing)
    assert len(lines()) == 6
    assert sorted(was_read) == [
        f"_cache/compacted/{name}.json" for name in ("steps", "ticks", "totals")
    ]
    assert listed == ["compacted", "featured", "bars", "marts", "raw"]


def test_damage_is_pointed_out(pipeline: Pipeline) -> None:
    pipeline.storage.delete("compacted/ticks/exchange=x/symbol=A/date=2025-01-04/meta.json")
    (damaged,) = lines("--table", "compacted.ticks", "--symbol", "A")
    assert damaged["damaged"] == 1
    assert "(1 damaged: ticklake verify)" in status("--table", "compacted.ticks").output


@pytest.mark.parametrize(
    ("dates", "holes"),
    [
        ([], []),
        (["2026-01-01"], []),
        (["2026-01-01", "2026-01-02"], []),
        (["2026-01-01", "2026-01-03"], ["2026-01-02"]),
        (["2026-01-06", "2026-01-02"], ["2026-01-03..05"]),
        (["2026-01-29", "2026-02-03"], ["2026-01-30..02-02"]),
        (["2025-12-30", "2026-01-02"], ["2025-12-31..2026-01-01"]),
        (["2025-11", "2026-02"], ["2025-12..2026-01"]),
        (["2026-01", "2026-04"], ["2026-02..03"]),
    ],
)
def test_holes_are_written_short(dates: list[str], holes: list[str]) -> None:
    assert missing(dates) == holes


@given(st.sets(st.integers(0, 800), min_size=1))
def test_holes_and_days_make_up_the_calendar(numbers: set[int]) -> None:
    start = date(2024, 1, 1)
    days = {start + timedelta(days=number) for number in numbers}
    covered = set(days)
    for hole in missing(day.isoformat() for day in days):
        first, _, last = hole.partition("..")
        last = first[: len(first) - len(last)] + last if last else first
        day = date.fromisoformat(first)
        while day <= date.fromisoformat(last):
            assert day not in covered
            covered.add(day)
            day += timedelta(days=1)
    span = max(numbers) - min(numbers) + 1
    assert len(covered) == span
