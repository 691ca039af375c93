"""What is traded where, and in which units."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Listing:
    """A symbol of a venue. Prices and sizes are counted in whole units of `10 ** -digits`."""

    exchange: str
    symbol: str
    asset: str
    price_digits: int
    tick: int
    """Price step, in units."""
    size_digits: int
    lot: int
    """Size step, in units."""
    touch_lots: int
    """The usual size at the best price."""
    premium: float = 0.0
    """How far its price is from the asset's, as a share of it."""


BTC_PERP: Final = Listing("binance-futures", "BTCUSDT", "BTC", 2, 10, 3, 1, 2_500, 2e-5)
ETH_PERP: Final = Listing("binance-futures", "ETHUSDT", "ETH", 2, 1, 3, 1, 24_000, 3e-5)
SOL_PERP: Final = Listing("binance-futures", "SOLUSDT", "SOL", 4, 100, 0, 1, 180)
BTC_SPOT: Final = Listing("binance", "BTCUSDT", "BTC", 2, 10, 5, 1, 60_000, -1e-5)
DERIBIT_BTC: Final = Listing("deribit", "BTC-PERPETUAL", "BTC", 1, 5, 0, 10, 3_000, 4e-5)
DERIBIT_ETH: Final = Listing("deribit", "ETH-PERPETUAL", "ETH", 2, 5, 0, 1, 20_000, 4e-5)
DERIBIT_SOL: Final = Listing("deribit", "SOL_USDC-PERPETUAL", "SOL", 2, 1, 1, 1, 900, 1e-5)
HYPERLIQUID_BTC: Final = Listing("hyperliquid", "BTC", "BTC", 0, 1, 5, 1, 90_000)
HYPERLIQUID_ETH: Final = Listing("hyperliquid", "ETH", "ETH", 1, 1, 4, 1, 160_000)
HYPERLIQUID_SOL: Final = Listing("hyperliquid", "SOL", "SOL", 3, 1, 2, 1, 9_000)
ETH_SPOT: Final = Listing("binance", "ETHUSDT", "ETH", 2, 1, 4, 1, 60_000, -1e-5)
OKX_BTC: Final = Listing("okx", "BTC/USDT", "BTC", 1, 1, 5, 1, 50_000, -2e-5)
COINBASE_BTC: Final = Listing("coinbase", "BTC-USD", "BTC", 2, 10, 5, 1, 20_000, -3e-5)


def fixed(units: int, digits: int, shown: int | None = None) -> str:
    """Write units with all their digits after the point, or with `shown` of them."""
    width = digits if shown is None else shown
    units *= 10 ** (width - digits)
    if not width:
        return str(units)
    whole, fraction = divmod(units, 10**width)
    return f"{whole}.{fraction:0{width}d}"


def plain(units: int, digits: int) -> str:
    """Write units without needless zeros, as a program prints a float."""
    if not digits:
        return str(units)
    whole, fraction = divmod(units, 10**digits)
    if not fraction:
        return str(whole)
    return f"{whole}.{fraction:0{digits}d}".rstrip("0")
