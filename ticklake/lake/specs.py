"""What dbt says of a `lake` model and of its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

NULLS_FIRST: Final = " nulls first"
"""What may stand behind a column in `order_by`; without it nulls are last."""


@dataclass(frozen=True)
class InputSpec:
    """How a model sees one of its inputs."""

    name: str
    location: str
    partition_by: tuple[str, ...]
    columns: Mapping[str, str]
    """Name -> DuckDB type, partition columns among them."""
    is_raw: bool = False
    lookback: int = 0
    required: tuple[str, ...] = ()
    """Of raw data, the columns that a segment has to have; it may lack the others."""
    views: tuple[str, ...] = ()
    """Views through which the model reads it: it answers to their names too."""


@dataclass(frozen=True)
class ViewSpec:
    """How a Python model sees a view on lake tables."""

    location: str
    query: str
    """SQL of the view over the files of a unit."""
    tables: tuple[str, ...]
    """The inputs behind it."""
    order_by: tuple[str, ...]
    """The order in which a model gets its rows."""


@dataclass(frozen=True)
class ModelSpec:
    """One `lake` model as dbt knows it."""

    name: str
    location: str
    partition_by: tuple[str, ...]
    unit_by: tuple[str, ...]
    order_by: tuple[str, ...]
    columns: Mapping[str, str]
    """Name -> DuckDB type from the model's YAML, in file order; empty where none are declared."""
    inputs: tuple[InputSpec, ...]
    time_column: str | None = "ts_event"
    closed_by: str | None = None
    units_from: str | None = None
    keeps_order: bool = False
    """Rows come in the order of `order_by` already."""
    views: tuple[ViewSpec, ...] = ()
    """Of a Python model, the views it reads."""
