"""The catalogue of features says what the models declare, and the models what it says."""

import csv
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


def declared(table: str) -> dict[str, str]:
    file = ROOT / TABLES[table] / "featured" / f"{table}.yml"
    (model,) = yaml.safe_load(file.read_text())["models"]
    columns: list[dict[str, Any]] = model["columns"]
    return {item["name"]: item["description"] for item in columns if item["name"] not in KEYS}


def test_every_feature_is_in_the_catalogue_with_the_description_of_its_column() -> None:
    listed: dict[str, dict[str, str]] = {table: {} for table in TABLES}
    with (ROOT / "seeds/feature_catalogue.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            null = f" Null where {row['null_when']}." if row["null_when"] else ""
            listed[row["table"]][row["column"]] = f"{row['formula']} [{row['unit']}].{null}"
    for table in TABLES:
        assert listed[table] == declared(table)
