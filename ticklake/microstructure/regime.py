"""Spread regimes: tight, normal or wide, by fixed thresholds or by rank in a window (C19)."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ticklake.microstructure.book import Flags, to_arrow
from ticklake.microstructure.compiled import compiled
from ticklake.microstructure.windows import Floats, Ints

Codes = npt.NDArray[np.int8]

REGIMES: Final = ("tight", "normal", "wide")
"""The name of each code; -1 is none."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where a regime begins and where it ends, in basis points of the mid."""

    tight_from: float = 1.0
    tight_until: float = 1.5
    wide_until: float = 4.0
    wide_from: float = 5.0

    def __post_init__(self) -> None:
        if not self.tight_from <= self.tight_until <= self.wide_until <= self.wide_from:
            raise ValueError(
                "thresholds of the spread regime have to rise from tight_from over tight_until "
                f"and wide_until to wide_from, unlike {self}"
            )


def regimes(ts_us: Ints, bps: Floats, is_gap: Flags, thresholds: Thresholds) -> tuple[Codes, Ints]:
    """Return the regime of each row by hysteresis and for how long it has lasted, both -1 for none.

    tight is kept while bps < tight_until and wide while bps > wide_until; otherwise a row is judged
    afresh: tight if bps <= tight_from, wide if bps >= wide_from, else normal. A gap starts afresh,
    and the age with it. A row without bps has no regime and leaves that of the next one alone.
    """
    codes, ages = np.empty(len(bps), np.int8), np.empty(len(bps), np.int64)
    edges = (
        thresholds.tight_from,
        thresholds.tight_until,
        thresholds.wide_until,
        thresholds.wide_from,
    )
    _machine(ts_us, bps, is_gap, edges, codes, ages)
    return codes, ages


def regimes_by_rank(share: Floats, low: float = 0.2, high: float = 0.8) -> Codes:
    """Return tight where at most `low` of the window is below a row, wide from `high`, else normal.

    In a window of one and the same spread nothing is below: all of it is tight.
    """
    codes = np.where(share <= low, 0, np.where(share >= high, 2, 1))
    return np.where(np.isnan(share), -1, codes).astype(np.int8)


def names(codes: Codes) -> pa.Array:
    """Return regimes by name, null for none."""
    return pa.DictionaryArray.from_arrays(to_arrow(codes, pa.int8()), REGIMES).cast(pa.string())


@compiled
def _machine(
    ts: Ints,
    bps: Floats,
    is_gap: Flags,
    edges: tuple[float, float, float, float],
    codes: Codes,
    ages: Ints,
) -> None:
    tight_from, tight_until, wide_until, wide_from = edges
    state, since = -1, 0
    for row in range(len(ts)):
        now = bps[row]
        if np.isnan(now):
            codes[row] = ages[row] = -1
            continue
        is_kept = (state == 0 and now < tight_until) or (state == 2 and now > wide_until)
        if is_gap[row] or not is_kept:
            fresh = 0 if now <= tight_from else (2 if now >= wide_from else 1)
            if is_gap[row] or fresh != state:
                state, since = fresh, ts[row]
        codes[row], ages[row] = state, ts[row] - since
