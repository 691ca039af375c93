"""Fills of three wallets, one of which is erased in a copy of the lake."""

from pathlib import Path
from typing import Any

import lz4.frame

from tests.integration.odd import Command, land_with
from tests.unit.test_hyperliquid import block, fill

ERASED, OTHER, THIRD = (f"0x{digit * 40}" for digit in "123")
COIN = "ERASED-WALLET"


def _trade(tid: int, buyer: str, seller: str, coin: str = COIN) -> list[list[Any]]:
    """Return both legs of a trade that the buyer took."""
    own = {"tid": tid, "coin": coin, "time": 1_756_684_800_000 + tid, "liquidation": None}
    return [
        [user, fill(**own, side=side, crossed=side == "B", oid=tid)[1]]
        for user, side in ((buyer, "B"), (seller, "A"))
    ]


def write(folder: Path) -> list[Command]:
    file = folder / "node_fills_by_block/hourly/20250901/0.lz4"
    file.parent.mkdir(parents=True)
    trades = [
        _trade(1, ERASED, OTHER),
        _trade(2, OTHER, ERASED),
        _trade(3, ERASED, ERASED),
        _trade(4, OTHER, THIRD),
        _trade(5, OTHER, THIRD, "NOT-ERASED"),
    ]
    file.write_bytes(
        lz4.frame.compress(b"".join(block(*legs, number=at) for at, legs in enumerate(trades, 1)))
    )
    days = ("--start", "20250901", "--end", "20250901")
    return [land_with("hyperliquid", "--source", folder, *days)]
