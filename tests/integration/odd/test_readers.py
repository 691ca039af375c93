"""The lines of docs/readers.md read every table, though `meta.json` is beside the data."""

import importlib.util
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.integration.odd.conftest import OddLake

DOCS = Path(__file__).resolve().parents[3] / "docs/readers.md"
ROW_COUNTS = {
    "DuckDB": lambda trades: len(trades.fetchall()),
    "Polars": lambda trades: trades.collect().height,
    "pyarrow": lambda trades: trades.to_table().num_rows,
    "pandas": len,
}


def example(tool: str) -> str:
    section = DOCS.read_text().partition(f"\n## {tool}\n")[2].partition("\n## ")[0]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert code
    return code[1]


def row_counts(odd: OddLake) -> Counter[str]:
    """Return the rows of each table as its `meta.json` files say."""
    counts: Counter[str] = Counter()
    for entry in odd.operator.storage.entries(""):
        layer, table, *_ = entry.path.split("/")
        if entry.path.endswith("/meta.json"):
            counts[f"{layer}/{table}"] += json.loads(odd.operator.storage.read(entry.path))[
                "row_count"
            ]
    return counts


@pytest.mark.parametrize("tool", ROW_COUNTS)
def test_each_tool_reads_all_rows_of_every_table(
    odd: OddLake, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not importlib.util.find_spec(tool.lower()):
        pytest.skip(f"{tool} is not installed")
    monkeypatch.chdir(Path(odd.operator.root).parent)
    expected = row_counts(odd)
    assert len(expected) > 10
    code = example(tool)
    for table, count in expected.items():
        names: dict[str, Any] = {}
        exec(code.replace("compacted/prints", table), names)
        assert ROW_COUNTS[tool](names["trades"]) == count, table


@pytest.mark.parametrize("tool", ["DuckDB", "Polars", "pyarrow"])
def test_values_in_paths_are_decoded(
    odd: OddLake, tool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(odd.operator.root).parent)
    names: dict[str, Any] = {}
    exec(example(tool), names)
    match tool:
        case "DuckDB":
            found = {symbol for (symbol,) in names["trades"].project("symbol").fetchall()}
        case "Polars":
            found = set(names["trades"].select("symbol").collect()["symbol"])
        case _:
            found = set(names["trades"].to_table(columns=["symbol"])["symbol"].to_pylist())
    wanted = odd.query("select distinct symbol from compacted.prints")
    assert found == {symbol for (symbol,) in wanted}
