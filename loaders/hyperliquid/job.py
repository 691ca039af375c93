"""What the command hands to its worker processes, and what comes back.

Imports little: the command itself needs neither Arrow nor DuckDB.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from loaders.hyperliquid.archive import HourObject
from loaders.source import SourceObject

SOURCE_NAME: Final = "hyperliquid"
TABLE: Final = "raw/fills/exchange=hyperliquid"

State = Literal["landed", "skipped", "quarantined", "failed"]


@dataclass(frozen=True, slots=True)
class Job:
    """One object to land, with all that a worker process has to know."""

    root: str
    source: str
    requester_pays: bool
    hour: HourObject
    found: SourceObject
    coins: Sequence[str] | None
    """The coins to keep, those of an earlier landing included; None for all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object."""

    path: str
    state: State
    size: int = 0
    rows: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    extra: dict[str, int] = field(default_factory=dict)
    message: str = ""


def perform(job: Job) -> Outcome:
    """Land one object, in whatever process this is called."""
    from loaders.hyperliquid.landing import land_object

    return land_object(job)
