"""Rolling values against their definitions, written out row by row in exact fractions."""

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ticklake.microstructure import windows as w

HORIZON = 10
COMPILES = settings(deadline=None)
STEPS = st.sampled_from([0, 0, 1, 1, 2, 3, 5, 9, 10, 11, 25])
# Decimals as venues send them, prices far from zero, and the very large beside the very small.
DECIMALS = st.integers(-2000, 2000).map(lambda n: n / 1000)
PRICES = st.integers(0, 50).map(lambda n: 61_234.5 + n / 10)
VALUES = st.none() | DECIMALS | st.sampled_from([0.0, 0.1, 0.2, -0.3, 1e12, -1e12, 1e-9])


@st.composite
def series(draw: st.DrawFn, values: st.SearchStrategy[float | None]) -> tuple[w.Ints, w.Floats]:
    steps = draw(st.lists(STEPS, max_size=60))
    start = draw(st.sampled_from([0, -7, 1_700_000_000_000_000]))
    ts = start + np.cumsum(np.array(steps, np.int64), dtype=np.int64)
    column = draw(st.lists(values, min_size=len(ts), max_size=len(ts)))
    return ts, np.array([math.nan if value is None else value for value in column], float)


def in_window(ts: w.Ints, row: int) -> list[int]:
    """C12: younger than the horizon, and not after this row."""
    return [at for at in range(row + 1) if ts[at] > ts[row] - HORIZON]


def known(values: w.Floats, window: Sequence[int]) -> list[Fraction]:
    return [Fraction(values[at]) for at in window if not math.isnan(values[at])]


def scatter(one: list[Fraction], other: list[Fraction]) -> Fraction:
    mean_one, mean_other = sum(one) / Fraction(len(one)), sum(other) / Fraction(len(other))
    pairs = zip(one, other, strict=True)
    return sum(((a - mean_one) * (b - mean_other) for a, b in pairs), Fraction(0))


def agrees(found: float, wanted: Fraction | float | None) -> bool:
    if wanted is None:
        return math.isnan(found)
    return math.isclose(found, float(wanted), rel_tol=1e-9, abs_tol=1e-12)


@COMPILES
@given(series(VALUES))
def test_sums_counts_and_means_are_those_of_the_window(data: tuple[w.Ints, w.Floats]) -> None:
    ts, values = data
    windows = w.row_windows(ts, HORIZON)
    sums, counts = w.rolling_sum_and_count(values, windows)
    means = w.rolling_mean(values, windows)
    squares = w.rolling_sum_of_squares(values, windows)
    for row in range(len(ts)):
        window = in_window(ts, row)
        numbers = known(values, window)
        assert windows.row_counts[row] == len(window)
        assert counts[row] == len(numbers)
        assert agrees(sums[row], sum(numbers) if numbers else None)
        assert agrees(means[row], sum(numbers) / Fraction(len(numbers)) if numbers else None)
        assert agrees(squares[row], sum(n * n for n in numbers) if numbers else None)


@COMPILES
@given(series(st.none() | DECIMALS | st.just(1e6)) | series(PRICES))
def test_standard_deviations_are_those_of_the_window(data: tuple[w.Ints, w.Floats]) -> None:
    ts, values = data
    std = w.rolling_std(values, w.row_windows(ts, HORIZON))
    for row in range(len(ts)):
        numbers = known(values, in_window(ts, row))
        if len(numbers) < 2:
            assert math.isnan(std[row])
        else:
            variance = scatter(numbers, numbers) / (len(numbers) - 1)
            assert agrees(std[row], math.sqrt(variance))
            assert (std[row] == 0) == (len(set(numbers)) == 1)


@COMPILES
@given(series(st.none() | DECIMALS | PRICES), st.data())
def test_lines_are_the_least_squares_lines_of_the_window(
    data: tuple[w.Ints, w.Floats], draw: st.DataObject
) -> None:
    ts, y = data
    few = st.none() | st.sampled_from([0.1, 0.1, 0.1, 0.3, -0.2, 60_000.1])
    drawn = draw.draw(st.lists(few, min_size=len(ts), max_size=len(ts)))
    x = np.array([math.nan if value is None else value for value in drawn], float)
    fit = w.rolling_ols(y, x, w.row_windows(ts, HORIZON))
    for row in range(len(ts)):
        both = [at for at in in_window(ts, row) if not math.isnan(x[at] + y[at])]
        assert fit.counts[row] == len(both)
        xs, ys = known(x, both), known(y, both)
        if len(both) < 3 or len(set(xs)) == 1:
            assert math.isnan(fit.slope[row])
            assert math.isnan(fit.r2[row])
            continue
        xx, xy, yy = scatter(xs, xs), scatter(xs, ys), scatter(ys, ys)
        assert agrees(fit.slope[row], xy / xx)
        assert agrees(fit.r2[row], xy * xy / (xx * yy) if yy else None)


@COMPILES
@given(series(st.none() | st.sampled_from([0.0, 0.1, 0.2, 0.3]) | PRICES))
def test_ranks_are_shares_strictly_below(data: tuple[w.Ints, w.Floats]) -> None:
    ts, values = data
    share = w.rolling_rank(w.ranked(values), w.row_windows(ts, HORIZON))
    for row in range(len(ts)):
        numbers = known(values, in_window(ts, row))
        if math.isnan(values[row]):
            assert math.isnan(share[row])
        else:
            below = sum(number < Fraction(values[row]) for number in numbers)
            assert share[row] == below / len(numbers)


@COMPILES
@given(series(VALUES), st.data())
def test_a_value_depends_on_its_window_alone_to_the_last_bit(
    data: tuple[w.Ints, w.Floats], draw: st.DataObject
) -> None:
    ts, values = data
    windows = w.row_windows(ts, HORIZON)
    cut = draw.draw(st.integers(0, len(ts)))
    whole_window = windows.starts >= cut
    later = w.row_windows(ts[cut:], HORIZON)
    kept = whole_window[cut:]
    weights = np.arange(len(ts), dtype=float)
    pairs = [
        (w.rolling_sum(values, windows), w.rolling_sum(values[cut:], later)),
        (w.rolling_std(values, windows), w.rolling_std(values[cut:], later)),
        (
            w.rolling_rank(w.ranked(values), windows),
            w.rolling_rank(w.ranked(values[cut:]), later),
        ),
        (
            w.rolling_ols(values, weights, windows).slope,
            w.rolling_ols(values[cut:], weights[cut:], later).slope,
        ),
    ]
    for everything, part in pairs:
        assert everything[whole_window].tobytes() == part[kept].tobytes()


def test_small_values_survive_large_ones_in_and_before_the_window() -> None:
    ts = np.array([0, 1, 2, 3, 20, 21], np.int64)
    values = np.array([1e16, 1.0, -1e16, 0.5, 0.1, 0.2])
    sums = w.rolling_sum(values, w.row_windows(ts, HORIZON))
    assert sums.tolist() == [1e16, 1e16 + 1, 1.0, 1.5, 0.1, 0.1 + 0.2]


def test_an_observation_exactly_as_old_as_the_horizon_is_out() -> None:
    ts = np.array([0, 1, 10, 11, 11], np.int64)
    assert w.row_windows(ts, HORIZON).starts.tolist() == [0, 0, 1, 2, 2]


@pytest.mark.parametrize("horizon", [0, -1])
def test_a_horizon_is_positive(horizon: int) -> None:
    with pytest.raises(ValueError, match="has to be positive"):
        w.row_windows(np.zeros(1, np.int64), horizon)


def test_times_that_decrease_are_refused_with_their_place() -> None:
    with pytest.raises(ValueError, match="rows decrease at position 2"):
        w.row_windows(np.array([1, 3, 2], np.int64), HORIZON)
