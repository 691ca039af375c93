"""`ticklake.read` has no dbt to ask, so it knows the columns of the view `trades` itself."""

from pathlib import Path

import yaml

from ticklake.reading import TRADES

REPOSITORY = Path(__file__).resolve().parents[2]


def test_trades_are_read_with_the_columns_that_the_view_declares() -> None:
    (model,) = yaml.safe_load((REPOSITORY / "models/compacted/trades.yml").read_text())["models"]
    assert list(TRADES.items()) == [(item["name"], item["data_type"]) for item in model["columns"]]
