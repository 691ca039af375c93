"""Mark price, index price and funding of a listing: each follows from the asset's price path."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ticklake.sample.listings import Listing
from ticklake.sample.prices import PricePath, generator

HOUR_US: Final = 3_600 * 10**6
SMOOTHING_US: Final = 30 * 10**6


@dataclass(frozen=True, slots=True)
class Derivative:
    """What a venue says of a perpetual beside its book and trades."""

    listing: Listing
    path: PricePath
    seed: int
    interval_hours: int = 8

    def index_price(self, ts_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the price of the asset itself."""
        return self.path.at(ts_us)

    def mark_price(self, ts_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the listing's price, smoothed over the last half minute."""
        steps = range(0, SMOOTHING_US, SMOOTHING_US // 6)
        prices = np.stack([self.path.at(ts_us - step) for step in steps])
        smooth: NDArray[np.float64] = prices.mean(axis=0) * (1 + self.listing.premium)
        return smooth

    def next_funding_us(self, ts_us: int) -> int:
        """Return when the interval ends that an instant lies in."""
        interval = self.interval_hours * HOUR_US
        return (ts_us // interval + 1) * interval

    def funding_rate(self, paid_at_us: int) -> float:
        """Return the rate that is paid at the end of an interval, to eight digits."""
        rng = generator(self.seed, "funding", self.listing.asset, str(paid_at_us))
        per_hour = 1.25e-5 + rng.normal(0, 0.8e-5)
        return round(per_hour * self.interval_hours, 8)
