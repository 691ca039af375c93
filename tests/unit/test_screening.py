"""Raw segments are looked at before they are used: their footers, and the rows of foreign ones."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders.channels import CHANNELS
from ticklake.lake import row_checks
from ticklake.lake.planning import Unit
from ticklake.lake.quarantine import Problem
from ticklake.lake.raw import LedgerEntry, Segment, write_ledger
from ticklake.lake.screening import Screening
from ticklake.lake.specs import InputSpec
from ticklake.lake.storage import LocalStorage
from ticklake.lake.tables import Partition

KEY = ("x", "S", "2025-08-01")
NOON = datetime(2025, 8, 1, 12, tzinfo=UTC)
TRADE = {"ts_event": NOON, "price": Decimal(1), "size": Decimal(1), "side": "buy"}
BAD = TRADE | {"side": "Buy"}
LEVELS = "struct(price double, size double)[]"
PARTITION = {"exchange": "varchar", "symbol": "varchar", "date": "date"}
COLUMNS = {
    "trades": {
        "ts_event": "timestamptz", "price": "decimal(38, 12)", "size": "decimal(38, 12)",
        "side": "varchar", "first_id": "bigint", "last_id": "bigint",
    },
    "order_book": {"ts_event": "timestamptz", "bids": LEVELS, "asks": LEVELS},
}  # fmt: skip


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(str(tmp_path / "lake"))


def put(storage: LocalStorage, channel: str, name: str, table: pa.Table) -> str:
    path = f"raw/{channel}/exchange=x/symbol=S/date=2025-08-01/{name}.parquet"
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    storage.write(path, sink.getvalue().to_pybytes())
    return path


def trades(*rows: Mapping[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([*rows], CHANNELS["trades"].schema)


def look(storage: LocalStorage, channel: str, *paths: str) -> dict[str, Problem]:
    required = {"order_book": ("bids.price", "bids.size", "asks.price", "asks.size")}
    item = InputSpec(
        f"raw_{channel}", f"raw/{channel}", tuple(PARTITION), PARTITION | COLUMNS[channel],
        is_raw=True, required=required.get(channel, ()),
    )  # fmt: skip
    unit = Unit(KEY, {item.name: (Partition(KEY, paths, 0, ""),)}, False, "")
    with storage.staging() as scratch:
        return Screening(storage, scratch).look([item], [unit])


def test_a_foreign_segment_with_a_bad_row_is_named_and_the_others_are_used(
    storage: LocalStorage,
) -> None:
    good = put(storage, "trades", "good", trades(TRADE))
    bad = put(storage, "trades", "bad", trades(TRADE, BAD, BAD))
    found = look(storage, "trades", good, bad)
    assert [*found] == [bad]
    assert (found[bad].error_type, found[bad].row) == ("BAD_SIDE", 1)
    assert "2 of 3 rows" in found[bad].message


def test_a_segment_that_the_ledger_describes_has_been_looked_at(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = put(storage, "trades", "own", trades(BAD))
    entry = LedgerEntry("s", "o", 1, "tag", None, 1, [Segment(own, 1, 1, "")])
    write_ledger(storage, "csv", "own", entry)
    copy = put(storage, "trades", "copy", trades(BAD))
    assert [*look(storage, "trades", own, copy)] == [copy]
    unfinished = LedgerEntry("s", "o", 1, "", None, 1, [Segment(own, 0, 0, "")])
    write_ledger(storage, "csv", "own", unfinished)
    assert sorted(look(storage, "trades", own, copy)) == [copy, own]


def test_a_good_foreign_segment_is_read_once_as_long_as_it_and_the_rules_stay(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    check = row_checks.check_rows

    def counted(at: Any, path: str, *others: Any) -> Problem | None:
        looked.append(path)
        return check(at, path, *others)

    monkeypatch.setattr(row_checks, "check_rows", counted)
    path = put(storage, "trades", "a", trades(TRADE))
    for _ in range(2):
        assert look(storage, "trades", path) == {}
    assert looked == [path]
    monkeypatch.setattr(row_checks, "RULES", "others")
    look(storage, "trades", path)
    put(storage, "trades", "a", trades(TRADE, BAD))
    assert [*look(storage, "trades", path)] == [path]
    assert len(looked) == 3
    entries = json.loads(storage.read("_cache/rows/raw/trades.json"))["entries"]
    assert [*entries] == [path]


def test_levels_have_the_names_that_models_read(storage: LocalStorage) -> None:
    def book(*names: str) -> pa.Table:
        levels = [dict.fromkeys(names, 1.0)]
        return pa.table({"ts_event": [NOON], "bids": [levels], "asks": [levels]})

    good = [
        put(storage, "order_book", f"good-{number}", book(*names))
        for number, names in enumerate([("price", "size"), ("n", "SIZE", "Price")])
    ]
    bad = [
        put(storage, "order_book", f"bad-{number}", book(*names))
        for number, names in enumerate([("price", "qty"), ("p", "q"), ("size",)])
    ]
    found = look(storage, "order_book", *good, *bad)
    assert sorted(found) == bad
    assert {problem.error_type for problem in found.values()} == {"SCHEMA_MISMATCH"}
