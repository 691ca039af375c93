"""Changes of the mid, from the smallest to the largest that a book may have."""

import math

import numpy as np
import pytest

from ticklake.microstructure.returns import mid_changes

SMALL, LARGE = 1e-12, 1e25


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("before", "after"),
    [(LARGE, SMALL), (SMALL, LARGE), (5e-324, LARGE), (100.0, 30.0), (100.0, 100.01), (1.0, 1.0)],
)
def test_a_log_return_is_finite_and_exact_whatever_the_mids(before: float, after: float) -> None:
    change, log_return = mid_changes(np.array([before, after]), np.array([-1, 0]))
    assert np.isnan(log_return[0])
    assert change[1] == after - before
    assert log_return[1] == pytest.approx(math.log(after) - math.log(before), rel=1e-9, abs=1e-15)
