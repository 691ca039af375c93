"""A landing that fails at any point leaves nothing of it visible to a build."""

import errno
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.conftest import Lake
from tests.integration.landed import content, land, rows
from ticklake.cli import main
from ticklake.lake import raw
from ticklake.lake.lease import break_leases
from ticklake.lake.raw import LANDING, unfinished
from ticklake.lake.tables import RawTable, sha256_of

CHANGES = ("publish", "write", "delete")
LOCAL = pytest.mark.parametrize("lake", ["local"], indirect=True)
FIRST_DAY = ("--from", "20250101", "--to", "20250101")
DAYS = ("2025-01-01", "2025-01-02", "2025-01-03", "2025-01-04")


class KilledError(Exception):
    """Ends a landing in the middle, as a kill would."""


def trades(file: Path, days: tuple[str, ...], price: int) -> None:
    lines = [f"{day}T00:00:00,{day},{price},1,buy\n" for day in days]
    file.write_text("time,id,price,size,side\n" + "".join(lines))


def land_file(file: Path, *options: str) -> str:
    arguments = ("--channel", "trades", "--exchange", "x", "--symbol", "S", *options)
    return land("csv", file, *arguments).output


def visible(lake: Lake) -> dict[str, str]:
    """Return the segments that a build would read, with their hashes."""
    hidden = [path for paths in unfinished(lake.storage).values() for path in paths]
    table = RawTable(lake.storage, "raw/trades", ("exchange", "symbol", "date"))
    parts = table.partitions(hidden=hidden).values()
    return {path: sha256_of(lake.storage, path) for part in parts for path in part.paths}


def segments(lake: Lake) -> dict[str, str]:
    """Return all segments, be they read by a build or not. The ledger has times of source files."""
    return {path: mark for path, mark in content(lake).items() if path.endswith(".parquet")}


@contextmanager
def failing(
    lake: Lake, at: int, error: Callable[[str], Exception], *, after: bool
) -> Iterator[int]:
    """Let the change number `at` of the lake fail, before or after it is made."""
    kind, count = type(lake.storage), 0
    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            change = getattr(kind, name)

            def wrapped(self, *given, change=change, **named):  # type: ignore[no-untyped-def]
                nonlocal count
                count += 1
                is_here = count == at
                if is_here and not after:
                    raise error(str(given[-1]))
                result = change(self, *given, **named)
                if is_here:
                    raise error(str(given[-1]))
                return result

            patch.setattr(kind, name, wrapped)
        yield at
    break_leases(lake.storage)  # the process that held one is this one, which lives on


@pytest.mark.parametrize("lake", ["local"], indirect=True)  # on S3 the next test does
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_whatever_change_of_the_lake_fails_a_build_sees_all_of_an_object_or_nothing(
    lake: Lake, tmp_path: Path, after: bool
) -> None:
    file = tmp_path / "t.csv"
    states = []
    for days, price in ((DAYS[:3], 1), (DAYS[1:], 2)):  # the second one replaces and removes
        trades(file, days, price)
        land_file(file)
        states.append((visible(lake), segments(lake)))
    (first, _), (second, undisturbed) = states
    assert len(first) == len(second) == 3
    points = 0
    while True:
        for path in content(lake):
            lake.storage.delete(path)
        trades(file, DAYS[:3], 1)
        land_file(file)
        trades(file, DAYS[1:], 2)
        points += 1
        with failing(lake, points, KilledError, after=after):
            output = land_file(file)
        assert visible(lake) in (first, second, {})
        if "1 landed" in output:
            break
        land_file(file)
        assert segments(lake) == undisturbed
    assert points > len(DAYS)
    assert not list(lake.storage.entries(LANDING))


def test_a_first_landing_that_fails_at_a_random_point_shows_no_row(
    lake: Lake, tmp_path: Path
) -> None:
    draw = random.Random(3)
    file = tmp_path / "t.csv"
    trades(file, DAYS, 1)
    land_file(file)
    undisturbed = segments(lake)
    for _ in range(2):
        for path in content(lake):
            lake.storage.delete(path)
        with failing(lake, draw.randint(2, len(DAYS) + 1), KilledError, after=True):
            assert "1 failed" in land_file(file)
        assert visible(lake) == {}
        land_file(file)
        assert segments(lake) == undisturbed


def test_a_full_disk_is_one_sentence_and_stops_what_comes_after(lake: Lake, tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.csv" for name in "abcd"]
    for file in files:
        trades(file, DAYS[:1], 1)

    def full(path: str) -> OSError:
        return OSError(errno.ENOSPC, "No space left on device", path)

    with failing(lake, 1, full, after=False):
        output = land("csv", *files, "--channel", "trades", "--exchange", "x", "--symbol", "S")
    assert output.exit_code == 1
    assert output.output.count("no space left") == 1
    assert "Free some, then run the command again" in output.output
    assert "Not tried after that: 3 objects" in output.output
    assert visible(lake) == {}


def test_a_file_landed_as_something_else_is_kept_twice_and_the_output_says_so(
    lake: Lake, tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    trades(file, DAYS[:1], 1)
    first = ("--channel", "trades", "--exchange", "a", "--symbol", "S")
    second = ("--channel", "trades", "--exchange", "b", "--symbol", "S")
    land("csv", file, *first)
    output = land("csv", file, *second).output
    assert "landed before as channel trades, exchange a, symbol S; both are kept" in output
    folders = sorted(path.rpartition("/")[0] for path in visible(lake))
    assert folders == [f"raw/trades/exchange={name}/symbol=S/date={DAYS[0]}" for name in "ab"]
    for options in (first, second):
        assert "1 skipped" in land("csv", file, *options).output
    trades(file, DAYS[1:2], 1)
    land("csv", file, *second)
    folders = sorted(path.rpartition("/")[0] for path in visible(lake))
    assert folders == [
        f"raw/trades/exchange=a/symbol=S/date={DAYS[0]}",
        f"raw/trades/exchange=b/symbol=S/date={DAYS[1]}",
    ]


@LOCAL
def test_names_with_quotes_are_told_apart(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    trades(file, DAYS[:1], 1)
    for symbol in ("A'B", "C'D", 'E"F', "G\\H"):
        land("csv", file, "--channel", "trades", "--exchange", "a", "--symbol", symbol)
    assert len(rows(lake, "trades", "distinct symbol")) == 4


@LOCAL
def test_a_file_keeps_its_name_when_its_other_landing_was_deleted(
    lake: Lake, tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    trades(file, DAYS[:1], 1)
    options = [("--channel", "trades", "--exchange", "a", "--symbol", name) for name in "AB"]
    for each in options:
        land("csv", file, *each)
    deleted = CliRunner().invoke(
        main, ["delete", "--table", "raw.trades", "--symbol", "A", "--yes", *FIRST_DAY]
    )
    assert deleted.exit_code == 0, deleted.output
    assert "1 skipped" in land("csv", file, *options[1]).output
    assert "1 landed" in land("csv", file, *options[0]).output
    assert sorted(rows(lake, "trades", "symbol")) == [("A",), ("B",)]


@LOCAL
@pytest.mark.parametrize("given_first", [True, False])
def test_options_that_say_what_the_columns_say_make_no_second_landing(
    lake: Lake, tmp_path: Path, given_first: bool
) -> None:
    file = tmp_path / "t.csv"
    file.write_text(f"time,exchange,symbol,price,size\n{DAYS[0]}T00:00:00,x,S/T,1,1\n")
    given = ("--exchange", "x", "--symbol", "S/T")
    for options in (given, ()) if given_first else ((), given):
        assert "1 landed" in land("csv", file, "--channel", "trades", *options).output
    assert rows(lake, "trades", "symbol") == [("S/T",)]


@LOCAL
def test_what_other_options_landed_is_replaced_and_the_output_says_so(
    lake: Lake, tmp_path: Path
) -> None:
    file, config = tmp_path / "t.csv", tmp_path / "config.json"
    file.write_text(f"time,pair,base,price,size\n{DAYS[0]}T00:00:00,S-T,S,1,1\n")
    land("csv", file, "--channel", "trades", "--exchange", "x")
    config.write_text('{"columns": {"symbol": "base"}}')
    output = land("csv", file, "--channel", "trades", "--exchange", "x", "--config", config).output
    assert "it replaces the 1 rows that other options or an earlier version landed" in output
    assert rows(lake, "trades", "symbol") == [("S",)]


@LOCAL
def test_an_object_is_withdrawn_whole_or_not_at_all(lake: Lake, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    trades(file, DAYS, 1)
    land_file(file)
    ((source, name),) = raw.read_ledgers(lake.storage)
    delete = lake.storage.delete

    deleted = []

    def one(path: str) -> None:
        if deleted:
            raise KilledError
        deleted.append(path)
        delete(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lake.storage, "delete", one)
        with pytest.raises(KilledError):
            raw.withdraw(lake.storage, source, name)
    assert len(segments(lake)) == len(DAYS) - 1
    assert visible(lake) == {}
    raw.withdraw(lake.storage, source, name)
    assert segments(lake) == {}
    assert unfinished(lake.storage) == {}
    assert "1 landed" in land_file(file)
    assert len(visible(lake)) == len(DAYS)
