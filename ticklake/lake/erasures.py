"""What was erased: the lake remembers it, so that landing does not bring it back.

An erasure is an object below `raw/_erased/`, and its path says everything, so one listing is enough
to know all of them. A wallet is remembered as the SHA-256 of its address. That recognises the
address without storing it. It does not hide the address from somebody who has a list of addresses.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ticklake.lake.errors import LakeError
from ticklake.lake.paths import partition_key, partition_path, unusable
from ticklake.lake.storage import Storage

ERASED: Final = "raw/_erased"
REASON: Final = "erased"
"""What the ledger counts rows under that were left out."""
_ADDRESS: Final = re.compile(r"0[xX][0-9a-fA-F]{1,40}")
_COLUMNS: Final = (("user",), ("symbol",), ("exchange", "symbol"))


@dataclass(frozen=True, slots=True)
class Erasure:
    """One wallet or one symbol that was erased."""

    user: str | None = None
    """The SHA-256 of the wallet's address in lower case, as hexadecimal digits."""
    symbol: str | None = None
    exchange: str | None = None
    """The only exchange whose symbol it is; None for that symbol of all exchanges."""

    def __str__(self) -> str:
        if self.user is not None:
            return f"user with SHA-256 {self.user}"
        of = "all exchanges" if self.exchange is None else self.exchange
        return f"symbol {self.symbol} of {of}"

    @property
    def path(self) -> str:
        """Where the lake remembers it."""
        values = {"user": self.user, "exchange": self.exchange, "symbol": self.symbol}
        there = {column: value for column, value in values.items() if value is not None}
        return f"{ERASED}/{partition_path(tuple(there), tuple(there.values()))}.json"


@dataclass(frozen=True, slots=True)
class Erasures:
    """Everything that was erased. It is true when there is anything."""

    users: frozenset[str] = frozenset()
    symbols: frozenset[tuple[str | None, str]] = frozenset()
    """Exchange, None for all of them, and symbol."""

    def __bool__(self) -> bool:
        return bool(self.users or self.symbols)

    @staticmethod
    def of(*erasures: Erasure) -> "Erasures":
        """Return some erasures together."""
        return Erasures(
            frozenset(item.user for item in erasures if item.user is not None),
            frozenset((item.exchange, item.symbol) for item in erasures if item.symbol is not None),
        )

    def symbols_of(self, exchange: str | None) -> frozenset[str]:
        """Return the erased symbols of an exchange."""
        return frozenset(symbol for each, symbol in self.symbols if each in (None, exchange))


def erasure_of_user(address: str) -> Erasure:
    """Return the erasure of a wallet. Raises LakeError if the address is not valid."""
    if not _ADDRESS.fullmatch(address.strip()):
        raise LakeError(
            f"{address!r} is not the address of a wallet. Give 0x and its 40 hexadecimal digits."
        )
    return Erasure(user=address_hash(address.strip()))


def erasure_of_symbol(symbol: str | None, exchange: str | None) -> Erasure:
    """Return the erasure of a symbol. Raises LakeError for one that no lake can have."""
    for what, name in (("symbol", symbol or ""), ("exchange", exchange)):
        if name is not None and (why := unusable(name)):
            raise LakeError(f"No lake has the {what} {name[:60]!r}: it {why}.")
    return Erasure(symbol=symbol, exchange=exchange)


@lru_cache(maxsize=1 << 16)
def address_hash(address: str) -> str:
    """Return what stands for a wallet: the SHA-256 of its address in lower case."""
    return hashlib.sha256(address.lower().encode()).hexdigest()


def erasures_in_force(storage: Storage) -> list[Erasure]:
    """Return what is remembered, in the order of the paths."""
    found = []
    for entry in storage.entries(ERASED):
        path = entry.path.removeprefix(f"{ERASED}/").removesuffix(".json")
        for columns in _COLUMNS:
            key = partition_key(columns, path)
            if key is not None:
                found.append(Erasure(**dict(zip(columns, key, strict=True))))
    return sorted(found, key=lambda item: item.path)


def read_erasures(storage: Storage) -> Erasures:
    """Return what is remembered as one. Costs one listing."""
    return Erasures.of(*erasures_in_force(storage))


def remember(storage: Storage, erasure: Erasure) -> None:
    """Make every landing from now on leave this out."""
    about = {"user_sha256": erasure.user, "exchange": erasure.exchange, "symbol": erasure.symbol}
    there = {name: value for name, value in about.items() if value is not None}
    storage.write(erasure.path, json.dumps(there, indent=2, ensure_ascii=False).encode() + b"\n")


def lift(storage: Storage, erasure: Erasure) -> None:
    """Let landing bring this back. Raises LakeError if it is not remembered."""
    if storage.find(erasure.path) is None:
        raise LakeError(f"The {erasure} was not erased. `ticklake erasures list` shows what was.")
    storage.delete(erasure.path)
