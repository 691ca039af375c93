"""What loaders land is what dbt is told that they land."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml

from loaders.channels import CHANNELS

SOURCES = Path(__file__).resolve().parents[2] / "models" / "sources"
ARRIVAL = {"segment", "segment_row"}


def declared() -> dict[str, Any]:
    tables = {}
    for file in sorted(SOURCES.glob("*.yml")):
        for source in yaml.safe_load(file.read_text()).get("sources", []):
            tables |= {table["name"]: table for table in source["tables"]}
    return tables


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_a_channel_has_the_columns_and_types_of_its_source(name: str) -> None:
    channel, table = CHANNELS[name], declared()[name]
    meta = {**table.get("config", {}).get("meta", {}), **table.get("meta", {})}
    assert tuple(meta["partition_by"]) == channel.partition_by
    with duckdb.connect() as connection:
        connection.register("landed", pa.Table.from_pylist([], channel.schema))
        landed = {row[0]: row[1] for row in connection.sql("describe landed").fetchall()}
        told = {
            column["name"]: str(connection.sql(f"select null::{column['data_type']}").types[0])
            for column in table["columns"]
            if column["name"] not in {*channel.partition_by, *ARRIVAL}
        }
    assert told == landed


def test_every_channel_is_a_source() -> None:
    assert set(CHANNELS) == set(declared())
