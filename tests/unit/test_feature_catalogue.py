"""The catalogue of features says what the models declare, and the models what it says."""

import csv
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"exchange", "symbol", "date", "row_seq", "trade_seq", "ts_event", "side", "price", "size"}
TABLES = {
    "book_features": "models",
    "order_flow": "python_models",
    "trade_flow": "python_models",
    "basis": "models",
    "trade_quality": "python_models",
}


def columns_of(file: Path) -> dict[str, str]:
    (model,) = yaml.safe_load(file.read_text())["models"]
    columns: list[dict[str, Any]] = model["columns"]
    return {item["name"]: item["description"] for item in columns}


def declared(table: str) -> dict[str, str]:
    columns = columns_of(ROOT / TABLES[table] / "featured" / f"{table}.yml")
    return {name: said for name, said in columns.items() if name not in KEYS}


def test_every_feature_is_in_the_catalogue_with_the_description_of_its_column() -> None:
    listed: dict[str, dict[str, str]] = {table: {} for table in TABLES}
    with (ROOT / "seeds/feature_catalogue.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            null = f" Null where {row['null_when']}." if row["null_when"] else ""
            listed[row["table"]][row["column"]] = f"{row['formula']} [{row['unit']}].{null}"
    for table in TABLES:
        assert listed[table] == declared(table)


def test_the_view_of_all_features_says_of_its_columns_what_their_tables_say() -> None:
    said = columns_of(ROOT / "models/featured/features.yml")
    expected: dict[str, str] = {}
    for table in ("book_features", "order_flow", "trade_flow", "basis"):
        expected |= declared(table)
    book = columns_of(ROOT / "models/compacted/order_book.yml")
    levels = {
        re.sub(r"price_(\d+)", r"px_l\1", re.sub(r"size_(\d+)", r"size_l\1", name)): text
        for name, text in book.items()
        if re.search(r"\d$", name)
    }
    own = {"exchange", "symbol", "date", "row_seq", "ts_event", "seq", "is_reset"}
    assert {name: text for name, text in said.items() if name not in own} == expected | levels
    assert own < set(said)
