"""A small market of Hyperliquid: coins, and users who trade them.

Everything is counted in whole units (of price tick and size step), so that each fill's start
position is exactly where the one before it left the user.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from ticklake.sample.prices import PricePath

ZERO_HASH: Final = "0x" + "0" * 64
USER_COUNT: Final = 400
MAKER_COUNT: Final = 25  # the first users earn rebates
SPOT_BALANCE: Final = 10**9  # units that every user owns of a spot coin to begin with
DUST_USERS: Final = 240

TAKER_FEE: Final = 450  # millionths of the notional
MAKER_FEE: Final = 150
REBATE: Final = -20


@dataclass(slots=True)
class Coin:
    """A coin and its price now, in ticks of `10 ** -price_digits`."""

    name: str
    kind: Literal["perp", "dex", "spot", "outcome"]
    ticks: int
    price_digits: int
    size_digits: int
    largest: int
    """The largest trade, in steps of `10 ** -size_digits`."""
    weight: float
    base: str = "USDC"
    first_ticks: int = 0

    def __post_init__(self) -> None:
        self.first_ticks = self.ticks


def all_coins() -> list[Coin]:
    """Return every kind of coin: perpetuals, builder dex, spot by index and by name, outcome."""
    return [
        Coin("BTC", "perp", 115_637, 0, 5, 60_000, 30),
        Coin("ETH", "perp", 36_972, 1, 4, 90_000, 25),
        Coin("SOL", "perp", 172_153, 3, 2, 9_000, 15),
        Coin("kPEPE", "perp", 10_836, 6, 0, 900_000, 6),
        Coin("xyz:TSLA", "dex", 30_842, 2, 3, 9_000, 6),
        Coin("@107", "spot", 38_914, 3, 2, 60_000, 8, "HYPE"),
        Coin("PURR/USDC", "spot", 17_128, 5, 0, 5_000, 5, "PURR"),
        Coin("#1890", "outcome", 4_200, 4, 0, 900, 5),
    ]


def decimal(units: int, digits: int) -> str:
    """Write units as a decimal, with at least one digit and no needless zeros after the point."""
    if not digits:
        return f"{units}.0"
    whole, fraction = divmod(abs(units), 10**digits)
    text = f"{fraction:0{digits}d}".rstrip("0") or "0"
    return f"-{whole}.{text}" if units < 0 else f"{whole}.{text}"


@dataclass(slots=True)
class _Holding:
    units: int = 0
    cost: float = 0.0
    """Average entry price in ticks."""


@dataclass(slots=True)
class Market:
    """Makes fills, as the text of `[user, fill]`."""

    rng: random.Random
    paths: Mapping[str, PricePath] = field(default_factory=dict)
    """Coins that follow a price path; the price of any other wanders."""
    coins: list[Coin] = field(default_factory=all_coins)
    users: list[str] = field(init=False)
    builders: list[str] = field(init=False)
    _holdings: dict[tuple[int, str], _Holding] = field(default_factory=dict)
    _schedule: list[Coin] = field(init=False)
    _next_oid: int = 124_534_000_000

    def __post_init__(self) -> None:
        self.users = [self._hex(40) for _ in range(USER_COUNT)]
        self.builders = [self._hex(40) for _ in range(4)]
        self._schedule = [coin for coin in self.coins for _ in range(int(coin.weight))]

    def dust(self, time_ms: int) -> list[str]:
        """Return a daily dust conversion: one-sided sales that share one order and no trade."""
        spot = [coin for coin in self.coins if coin.kind == "spot"]
        oid = self._order()
        fills = []
        for user in range(DUST_USERS):
            coin = spot[user % len(spot)]
            size = decimal(self.rng.randint(1, 9_999), coin.size_digits + 4)
            fills.append(
                f'["{self.users[user]}",{{"coin":"{coin.name}",'
                f'"px":"{decimal(coin.ticks, coin.price_digits)}","sz":"{size}","side":"A",'
                f'"time":{time_ms},"startPosition":"{size}","dir":"Spot Dust Conversion",'
                f'"closedPnl":"0.0","hash":"{ZERO_HASH}","oid":{oid},"crossed":true,"fee":"0.0",'
                f'"tid":0,"feeToken":"USDC","twapId":null}}]'
            )
        return fills

    def trade(self, time_ms: int) -> list[str]:
        """Return the fills of one trade, the buyer's first; the price moves on."""
        rng = self.rng
        chance = rng.random
        coin = self._schedule[int(chance() * len(self._schedule))]
        self._move(coin, time_ms)
        size = 1 + int(coin.largest * chance() ** 6)
        maker = int(MAKER_COUNT * chance()) if chance() < 0.6 else int(USER_COUNT * chance())
        taker = maker if chance() < 0.004 else int(USER_COUNT * chance())
        taker_buys = chance() < 0.5
        is_twap = chance() < 0.04
        trade_hash = ZERO_HASH if is_twap else self._hex(64)
        liquidation = ""
        if coin.kind in ("perp", "dex") and chance() < 0.01:
            mark = decimal(coin.ticks - 4 + int(chance() * 9), coin.price_digits)
            liquidation = (
                f'"liquidation":{{"liquidatedUser":"{self.users[taker]}","markPx":"{mark}",'
                f'"method":"market"}},'
            )
        head = (
            f'{{"coin":"{coin.name}","px":"{decimal(coin.ticks, coin.price_digits)}",'
            f'"sz":"{decimal(size, coin.size_digits)}","side":"'
        )
        tid = rng.getrandbits(50) or 1

        def leg(user: int, is_taker: bool) -> str:
            buys = taker_buys == is_taker
            position, direction, profit = self._fill(user, coin, size if buys else -size)
            twap = str(rng.randint(100_000, 999_999)) if is_twap and is_taker else "null"
            fee, token, extras = self._fees(user, coin, size, is_taker, buys)
            client = f'"cloid":"{self._hex(32)}",' if chance() < 0.5 else ""
            return (
                f'["{self.users[user]}",{head}{"B" if buys else "A"}","time":{time_ms},'
                f'"startPosition":"{position}","dir":"{direction}","closedPnl":"{profit}",'
                f'"hash":"{trade_hash}","oid":{self._order()},'
                f'"crossed":{"true" if is_taker else "false"},"fee":"{fee}","tid":{tid},'
                f'{client}{liquidation}"feeToken":"{token}"{extras},"twapId":{twap}}}]'
            )

        # Half of an outcome's trades are made against the issuer: there is no other leg.
        if coin.kind == "outcome" and chance() < 0.5:
            return [leg(taker, True)]
        first, second = (taker, maker) if taker_buys else (maker, taker)
        return [leg(first, taker_buys), leg(second, not taker_buys)]

    def _move(self, coin: Coin, time_ms: int) -> None:
        """Follow the coin's path, or wander, pulled back gently to where the price began."""
        if path := self.paths.get(coin.name):
            ticks = path.price(time_ms // 1_000) * 10**coin.price_digits
            coin.ticks = round(ticks + self.rng.random() * 2 - 1)
            return
        step = max(1, coin.first_ticks // 20_000)
        pull = (coin.first_ticks - coin.ticks) / (coin.first_ticks * 0.05)
        coin.ticks += int((self.rng.random() * 2 - 1 + pull * 0.02) * 3 * step)
        coin.ticks = max(coin.ticks, 1)
        if coin.kind == "outcome":
            coin.ticks = min(coin.ticks, 10**coin.price_digits - 1)

    def _fill(self, user: int, coin: Coin, change: int) -> tuple[str, str, str]:
        """Apply a fill to the user's position: its start, what it does, and what it earned."""
        key = (user, coin.name)
        holding = self._holdings.get(key)
        if holding is None:
            owned = SPOT_BALANCE if coin.kind in ("spot", "outcome") else 0
            holding = self._holdings[key] = _Holding(owned, float(coin.ticks))
        before = holding.units
        after = holding.units = before + change
        closed = 0
        if before and (before > 0) != (change > 0):
            closed = min(abs(before), abs(change)) * (1 if before > 0 else -1)
        if before == 0 or (before > 0) != (after > 0):
            cost, holding.cost = holding.cost, float(coin.ticks)
        else:
            cost = holding.cost
            if not closed:
                holding.cost += (coin.ticks - cost) * change / after
        profit = "0.0"
        if closed:
            earned = (
                (coin.ticks - cost) * closed * 10.0 ** (6 - coin.price_digits - coin.size_digits)
            )
            profit = decimal(round(earned), 6)
        return decimal(before, coin.size_digits), _direction(coin, before, after), profit

    def _fees(
        self, user: int, coin: Coin, size: int, is_taker: bool, buys: bool
    ) -> tuple[str, str, str]:
        """Return fee, fee token, and the fields that are only there for some fills."""
        chance = self.rng.random
        rate = TAKER_FEE if is_taker else REBATE if user < MAKER_COUNT else MAKER_FEE
        if coin.kind == "spot" and buys:  # paid in what was bought
            fee = decimal(round(size * rate * 10.0 ** (2 - coin.size_digits)), 8)
            return fee, coin.base, ""
        notional = size * coin.ticks * 10.0 ** -(coin.size_digits + coin.price_digits)
        units = round(notional * rate)
        extras = ""
        if is_taker and chance() < 0.1:
            share = round(notional * 100)
            units += share
            builder = self.builders[int(chance() * len(self.builders))]
            extras += f',"builder":"{builder}","builderFee":"{decimal(share, 6)}"'
        if coin.kind == "dex":
            extras += f',"deployerFee":"{decimal(units // 2, 6)}"'
            if is_taker and chance() < 0.05:
                extras += f',"priorityGas":"{decimal(1 + int(chance() * 999), 6)}"'
        return decimal(units, 6), "USDC", extras

    def _order(self) -> int:
        self._next_oid += 1 + int(self.rng.random() * 40)
        return self._next_oid

    def _hex(self, digits: int) -> str:
        return f"0x{self.rng.getrandbits(4 * digits):0{digits}x}"


def _direction(coin: Coin, before: int, after: int) -> str:
    if coin.kind in ("spot", "outcome"):
        return "Buy" if after > before else "Sell"
    if before and after and (before > 0) != (after > 0):
        return "Long > Short" if before > 0 else "Short > Long"
    if before > 0 or (before == 0 and after > 0):
        return "Open Long" if after > before else "Close Long"
    return "Open Short" if after < before else "Close Short"
