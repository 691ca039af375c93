"""Which other venue a message looks like."""

from collections.abc import Callable
from typing import Any, Final


def looks_like(message: Any) -> str | None:
    """Return the venue that a message looks like, and by what; None if it is like none we know."""
    if type(message) is not dict:
        return None
    for venue, sign_of in _SIGNS:
        sign = sign_of(message)
        if sign is not None:
            return f"{venue} ({sign})"
    return None


def _named(name: str) -> Callable[[dict[str, Any]], str | None]:
    """Return what finds a venue by a field of text."""

    def find(message: dict[str, Any]) -> str | None:
        value = message.get(name)
        return f"{name} {value[:60]!r}" if type(value) is str else None

    return find


def _kucoin(message: dict[str, Any]) -> str | None:
    sign = _named("topic")(message)
    return sign if sign and sign.startswith("topic '/") else None


def _in_arg(*names: str) -> Callable[[dict[str, Any]], str | None]:
    def find(message: dict[str, Any]) -> str | None:
        arg = message.get("arg")
        found = type(arg) is dict and all(name in arg for name in names)
        return f"arg with {' and '.join(names)}" if found else None

    return find


def _having(*names: str) -> Callable[[dict[str, Any]], str | None]:
    def find(message: dict[str, Any]) -> str | None:
        return f"fields {', '.join(names)}" if all(name in message for name in names) else None

    return find


def _hyperliquid(message: dict[str, Any]) -> str | None:
    data = message.get("data")
    first = data[0] if type(data) is list and data else data
    return "data with a coin" if type(first) is dict and "coin" in first else None


_SIGNS: Final[tuple[tuple[str, Callable[[dict[str, Any]], str | None]], ...]] = (
    ("KuCoin", _kucoin),
    ("Bybit", _named("topic")),
    ("Bitget", _in_arg("instType", "instId")),
    ("OKX", _in_arg("channel", "instId")),
    ("OKX", _named("instId")),
    ("Coinbase", _named("product_id")),
    ("Hyperliquid", _hyperliquid),
    ("Deribit", _having("jsonrpc", "method", "params")),
    ("BitMEX", _having("table", "action", "data")),
    ("Gate", _having("channel", "event", "result")),
    ("HTX", _having("ch", "tick")),
    ("Kraken", _having("channel", "type", "data")),
)
