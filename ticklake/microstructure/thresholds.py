"""How much fills a bar: what people chose, else a share of the day before.

Chosen thresholds name an exchange and a symbol, or `*` for any. Of those that match, the ones of
the most specific kind count, all of them: exchange and symbol; symbol; exchange; any. A symbol
comes before an exchange because a size means something for a symbol only.

Where none matches, the day before says what makes about `bars_per_day` bars: of its total T over N
trades, T / B fills a bar; half of that a run, where one side counts; and an imbalance reaches
T / sqrt(N B), as N / B trades of average size with sides by chance do. Rounded up to the decimals
that T has. Without a day before there is no threshold, and no bar; nor where it says little: fewer
trades than bars, or all within half a day, as where an archive or a market began late.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ticklake.microstructure.bar_tables import BarType
from ticklake.microstructure.exact import decimals_of, rounded_up

ANY: Final = "*"
DECIMALS: Final = 12
"""Of a threshold, at most."""
EXACT: Final = 24
"""Decimals of a sum of prices times sizes."""
HALF_DAY_US: Final = 43_200_000_000


@dataclass(frozen=True, slots=True)
class Totals:
    """The trades of a symbol and day added up, prints without price or size left out."""

    trade_count: int
    volume: Decimal
    notional: Decimal
    span_us: int
    """From the first to the last of them, in microseconds."""


class Thresholds:
    """Chosen thresholds, from rows (exchange, symbol, bar type, threshold)."""

    def __init__(self, rows: Iterable[tuple[str, str, str, Decimal]]) -> None:
        self._chosen: dict[tuple[str, str, str], set[Decimal]] = defaultdict(set)
        for exchange, symbol, bar_type, threshold in rows:
            self._chosen[exchange, symbol, bar_type].add(threshold)

    def of(self, exchange: str, symbol: str, bar_type: str) -> Sequence[Decimal]:
        """Return the thresholds of the most specific match, in order; none where none matches."""
        for named in ((exchange, symbol), (ANY, symbol), (exchange, ANY), (ANY, ANY)):
            if found := self._chosen.get((*named, bar_type)):
                return sorted(found)
        return []


def default_threshold(kind: BarType, yesterday: Totals, bars_per_day: int) -> Decimal | None:
    """Return what makes about so many bars of such trades; None where those say little."""
    if bars_per_day < 1:
        raise ValueError(f"the var bars_per_day is a number of bars from 1, not {bars_per_day}")
    if yesterday.trade_count < bars_per_day or yesterday.span_us < HALF_DAY_US:
        return None
    total = {
        "tick": Decimal(yesterday.trade_count),
        "volume": yesterday.volume,
        "dollar": yesterday.notional,
    }[kind.measure]
    decimals = min(decimals_of(total), DECIMALS)
    amount, unit = rounded_up(total, EXACT), 10 ** (EXACT - decimals)
    if kind.rule == "imbalance":
        # The least t with (t * unit) ** 2 * N * B >= amount ** 2.
        square = -(-(amount**2) // (unit**2 * yesterday.trade_count * bars_per_day))
        units = math.isqrt(square - 1) + 1
    else:
        units = -(-amount // (unit * bars_per_day * (2 if kind.rule == "run" else 1)))
    return Decimal(units).scaleb(-decimals)
