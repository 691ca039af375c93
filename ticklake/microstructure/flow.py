"""Order-flow imbalance: what two snapshots say was added and taken at each level.

Cont, Kukanov, Stoikov, "The Price Impact of Order Book Events", Journal of Financial Econometrics
12(1), 2014, section 2, for the best quotes; Xu, Gould, Howison, "Multi-Level Order-Flow Imbalance
in a Limit Order Book", Market Microstructure and Liquidity 4(3-4), 2018, for the levels behind.
"""

from collections.abc import Sequence

import numpy as np

from ticklake.microstructure.book import Book, Flags, Level
from ticklake.microstructure.compiled import compiled
from ticklake.microstructure.windows import Floats, Ints


def chain(book: Book, max_gap_us: int) -> tuple[Ints, Flags]:
    """Return for each row the one it is compared with, and whether the chain breaks there.

    That is the last valid row (C07), -1 for an invalid row and where the chain breaks (C08): on the
    first valid row, on one with a reset since the last valid row, and after more than `max_gap_us`.
    """
    return _chain(book.ts_us, book.is_reset, book.is_valid, max_gap_us)


def level_flow(level: Level, previous: Ints) -> Floats:
    """Return e of a level: the OFI of its prices on each row and on `previous`.

    e = 1{pb >= pb'} qb - 1{pb <= pb'} qb' - 1{pa <= pa'} qa + 1{pa >= pa'} qa', in units of size. A
    missing bid is (-inf, 0) and a missing ask (+inf, 0); all four missing is NaN (C09), and so is
    e without a previous row.
    """
    flow = np.empty(len(previous))
    _flow(level.bid_price, level.bid_size, level.ask_price, level.ask_size, previous, flow)
    return flow


def across_levels(flows: Sequence[Floats], alpha: float) -> Floats:
    """Return the sum of exp(-alpha (m - 1)) e_m over the levels that have one (C16)."""
    total = flows[0].copy()
    for distance, flow in enumerate(flows[1:], 1):
        total += np.exp(-alpha * distance) * np.nan_to_num(flow, nan=0.0)
    return total


def decayed(ts_us: Ints, flow: Floats, half_life_us: int) -> Floats:
    """Return D, which halves every half-life and grows by e (C15); NaN before the first e."""
    total = np.empty(len(ts_us))
    _decay(ts_us, flow, half_life_us, total)
    return total


@compiled
def _chain(ts: Ints, is_reset: Flags, is_valid: Flags, max_gap: int) -> tuple[Ints, Flags]:
    previous = np.full(len(ts), -1, np.int64)
    is_gap = np.zeros(len(ts), np.bool_)
    last, reset = -1, False
    for row in range(len(ts)):
        reset = reset or is_reset[row]
        if is_valid[row]:
            if reset or last < 0 or ts[row] - ts[last] > max_gap:
                is_gap[row] = True
            else:
                previous[row] = last
            last, reset = row, False
    return previous, is_gap


@compiled
def _flow(
    bid_price: Floats,
    bid_size: Floats,
    ask_price: Floats,
    ask_size: Floats,
    previous: Ints,
    flow: Floats,
) -> None:
    for row in range(len(previous)):
        before = previous[row]
        if before < 0:
            flow[row] = np.nan
            continue
        bid, bid_was = bid_price[row], bid_price[before]
        ask, ask_was = ask_price[row], ask_price[before]
        if np.isnan(bid) and np.isnan(bid_was) and np.isnan(ask) and np.isnan(ask_was):
            flow[row] = np.nan
            continue
        # No comparison with NaN holds: only what is missing has to be told apart.
        total = 0.0
        if bid >= bid_was or np.isnan(bid_was):
            total += 0.0 if np.isnan(bid) else bid_size[row]
        if bid <= bid_was or np.isnan(bid):
            total -= 0.0 if np.isnan(bid_was) else bid_size[before]
        if ask <= ask_was or np.isnan(ask_was):
            total -= 0.0 if np.isnan(ask) else ask_size[row]
        if ask >= ask_was or np.isnan(ask):
            total += 0.0 if np.isnan(ask_was) else ask_size[before]
        flow[row] = total


@compiled
def _decay(ts: Ints, flow: Floats, half_life: int, total: Floats) -> None:
    sum_so_far = np.nan
    for row in range(len(ts)):
        if row > 0 and ts[row] != ts[row - 1]:
            sum_so_far *= np.exp2((ts[row - 1] - ts[row]) / half_life)
        if not np.isnan(flow[row]):
            sum_so_far = flow[row] + (0.0 if np.isnan(sum_so_far) else sum_so_far)
        total[row] = sum_so_far
