"""What kinds of Tardis files there are, and what their columns mean.

exchange,symbol,timestamp,local_timestamp,id,side,price,amount
bitmex,XBTUSD,1583020803145000,1583020803307160,ccc3c1fa-...,sell,8531.5,2152
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from loaders.columns import Plan, make_plan
from loaders.decode import BrokenObjectError
from loaders.mapping import ColumnMapping, Pairs

_CLOCKS: Final = {"ts_event": "timestamp", "ts_capture": "local_timestamp"}
_HEAD: Final = ("exchange", "symbol", *_CLOCKS.values())
CHANGES: Final = (*_HEAD, "is_snapshot", "side", "price", "amount")
"""The columns of `incremental_book_L2`."""
_SNAPSHOT: Final = (
    *(f"{side}[0].{what}" for side in ("asks", "bids") for what in ("price", "amount")),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A channel that rows of a file go to."""

    channel: str
    columns: Pairs
    """The source column of each column of the channel."""
    ignored: tuple[str, ...] = ()
    """Columns that another channel has a place for."""
    present: tuple[str, ...] = ()
    """Rows go to the channel where one of these has a value; without any named, all do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A data type of Tardis."""

    name: str
    columns: tuple[str, ...]
    """Those that a file of this kind has, whatever else it has."""
    targets: tuple[Target, ...]

    def plans(self, names: Sequence[str]) -> list[tuple[Target, Plan]]:
        """Return how the columns of a file go to each channel."""
        return [(target, _plan(target, names)) for target in self.targets]


def _target(
    channel: str, *, ignored: Sequence[str] = (), present: Sequence[str] = (), **columns: str
) -> Target:
    pairs = {"exchange": "exchange", "symbol": "symbol", **_CLOCKS, **columns}
    return Target(channel, tuple(pairs.items()), tuple(ignored), tuple(present))


_FUNDING: Final = ("funding_rate", "funding_timestamp")
_PRICES: Final = ("mark_price", "index_price")

INCREMENTAL: Final = Kind("incremental_book_L2", CHANGES, ())
KINDS: Final = (
    INCREMENTAL,
    Kind(
        "trades",
        (*_HEAD, "id", "side", "price", "amount"),
        (_target("trades", trade_id="id", side="side", price="price", size="amount"),),
    ),
    Kind("book_snapshot", (*_HEAD, *_SNAPSHOT), (_target("order_book"),)),
    Kind(
        "quotes",
        (*_HEAD, "ask_amount", "ask_price", "bid_price", "bid_amount"),
        (
            _target(
                "tickers",
                bid_price="bid_price",
                bid_size="bid_amount",
                ask_price="ask_price",
                ask_size="ask_amount",
            ),
        ),
    ),
    Kind(
        "derivative_ticker",
        (*_HEAD, *_FUNDING, *_PRICES),
        (
            _target(
                "mark_prices",
                ignored=_FUNDING,
                present=_PRICES,
                mark_price="mark_price",
                index_price="index_price",
            ),
            _target(
                "funding_rates",
                ignored=_PRICES,
                present=_FUNDING[:1],
                funding_rate="funding_rate",
                next_funding_ts="funding_timestamp",
            ),
        ),
    ),
)


def kind_of(names: Sequence[str]) -> Kind:
    """Return the kind of a file with these columns. Raises BrokenObjectError."""
    for kind in KINDS:
        if set(kind.columns) <= set(names):
            return kind
    listed = ", ".join(kind.name for kind in KINDS)
    raise BrokenObjectError(
        "UNKNOWN_DATA_TYPE", f"its columns ({', '.join(names)[:200]}) are of none of {listed}"
    )


def _plan(target: Target, names: Sequence[str]) -> Plan:
    mapping = ColumnMapping(target.columns)
    plan = make_plan(target.channel, names, mapping, by_alias=False, ignored=target.ignored)
    if not target.present:
        return plan
    # A row that has one of them needs no other.
    needed = [name for name in plan.needed if name not in target.present]
    return Plan(
        plan.channel,
        plan.sources,
        plan.levels,
        plan.partition,
        plan.extra,
        plan.mapping,
        needed,
    )
