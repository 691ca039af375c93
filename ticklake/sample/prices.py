"""One price path an asset, shared by all its listings and channels."""

import hashlib
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

SECOND_US: Final = 1_000_000
MINUTE: Final = 60
FIRST_PRICES: Final = {"BTC": 115_637.0, "ETH": 3_697.2, "SOL": 172.153}
SECOND_VOLATILITY: Final = 0.6e-4
CALM_SHARE: Final = 0.85
"""Of the seconds, how many see next to no move."""
PULL: Final = 1e-5
"""How much of the distance to the first price is lost in a second."""


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return the random numbers of one part of the sample: parts do not disturb each other."""
    text = "/".join(("ticklake", str(seed), *names))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]))


@dataclass(frozen=True, slots=True)
class PricePath:
    """The fair price at every second from `start` on, before the first and after the last too."""

    start: int
    prices: NDArray[np.float64]

    @classmethod
    def make(cls, asset: str, seed: int, start: int, seconds: int) -> Self:
        """Draw the path: jumps between calm seconds, in louder and quieter hours."""
        rng = generator(seed, "path", asset)
        minutes = seconds // MINUTE + 1
        loudness = np.exp(_reverting(rng.normal(0, 0.08, minutes), 0.02))
        calm = np.where(rng.random(seconds) < CALM_SHARE, 0.05, 1.0)
        steps = rng.standard_normal(seconds) * calm * SECOND_VOLATILITY
        steps *= np.repeat(loudness, MINUTE)[:seconds]
        return cls(start, FIRST_PRICES[asset] * np.exp(_reverting(steps, PULL)))

    def price(self, second: int) -> float:
        """Return the fair price in a second since the epoch."""
        return float(self.prices[min(max(second - self.start, 0), len(self.prices) - 1)])

    def at(self, ts_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the fair price at each instant (us since the epoch)."""
        index = np.clip(ts_us // SECOND_US - self.start, 0, len(self.prices) - 1)
        return self.prices[index]


def _reverting(steps: NDArray[np.float64], pull: float) -> NDArray[np.float64]:
    """Return the running sum of steps, where each second takes `pull` of the sum away."""
    values = np.empty_like(steps)
    value = 0.0
    for index, step in enumerate(steps.tolist()):
        value += step - pull * value
        values[index] = value
    return values
