"""What kinds of Tardis files there are, how to tell them apart, and what their columns mean.

A file is called `<exchange>_<data type>_<date>_<symbol>.csv.gz`. Its columns alone do not say what
it holds: `trades` and `liquidations` have the same ones.

exchange,symbol,timestamp,local_timestamp,id,side,price,amount
bitmex,XBTUSD,1583020803145000,1583020803307160,ccc3c1fa-...,sell,8531.5,2152
"""

import re
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
    targets: tuple[Target, ...] = ()
    """The channels that its rows go to; none if the lake has no channel for it."""

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

_TRADE: Final = (*_HEAD, "id", "side", "price", "amount")
_QUOTE: Final = (*_HEAD, "ask_amount", "ask_price", "bid_price", "bid_amount")
_QUOTES: Final = (
    _target(
        "tickers",
        bid_price="bid_price",
        bid_size="bid_amount",
        ask_price="ask_price",
        ask_size="ask_amount",
    ),
)

INCREMENTAL: Final = Kind("incremental_book_L2", CHANGES)
KINDS: Final = (
    INCREMENTAL,
    Kind("book_snapshot", (*_HEAD, *_SNAPSHOT), (_target("order_book"),)),
    Kind(
        "trades",
        _TRADE,
        (_target("trades", trade_id="id", side="side", price="price", size="amount"),),
    ),
    Kind("liquidations", _TRADE),
    Kind("quotes", _QUOTE, _QUOTES),
    Kind("book_ticker", _QUOTE, _QUOTES),
    Kind("options_chain", (*_QUOTE, "type", "strike_price", "expiration")),
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
_NAMED: Final = re.compile(
    rf"(?<![a-z0-9])({'|'.join(kind.name for kind in KINDS)})(?:_[0-9]+)?(?![a-z0-9])",
    re.IGNORECASE,
)


def named_kind(text: str) -> Kind | None:
    """Return the kind whose data type a text names first, for example `book_snapshot_25`."""
    found = _NAMED.search(text)
    return found and next(kind for kind in KINDS if kind.name.lower() == found[1].lower())


def kind_of(names: Sequence[str], path: str, asked: Kind | None = None) -> Kind:
    """Return the kind of a file: what it was landed as, or else what its name and columns say.

    `names` are its columns, `asked` is the kind that the user gave for it. A folder decides only
    between kinds with the same columns. Raises BrokenObjectError if these do not agree, and if the
    file can be of several kinds that land differently.
    """
    folders, _, base = path.rpartition("/")
    named = named_kind(base)
    if asked and named and asked is not named:
        raise BrokenObjectError(
            "OTHER_DATA_TYPE",
            f"its name says {named.name}, and --data-type says {asked.name}. "
            "Rename the file if its name is wrong",
        )
    fitting = _fitting(names)
    listed = " or ".join(kind.name for kind in fitting)
    said = asked or named
    if said is not None:
        if said not in fitting:
            of_what = f"those of {listed}" if fitting else "of no data type of Tardis"
            raise BrokenObjectError(
                "OTHER_DATA_TYPE",
                f"{'--data-type' if asked else 'its name'} says {said.name}, but its columns "
                f"({', '.join(names)[:200]}) are {of_what}",
            )
        return said
    if not fitting:
        raise BrokenObjectError(
            "UNKNOWN_DATA_TYPE",
            f"its columns ({', '.join(names)[:200]}) are not those of any data type of Tardis that "
            f"can be landed: {', '.join(kind.name for kind in KINDS if kind.targets)}",
        )
    if any(kind.targets != fitting[0].targets for kind in fitting):
        in_folder = (named_kind(folder) for folder in reversed(folders.split("/")))
        folder = next((kind for kind in in_folder if kind in fitting), None)
        if folder is None:
            raise BrokenObjectError(
                "AMBIGUOUS_DATA_TYPE",
                f"its columns are those of {listed}, and its name says neither. Say which it is "
                "with --data-type",
            )
        return folder
    return fitting[0]


def _fitting(names: Sequence[str]) -> list[Kind]:
    """Return the kinds that a file with these columns can be of.

    A kind whose columns are a part of those of another fitting kind is left out.
    """
    fitting = [kind for kind in KINDS if set(kind.columns) <= set(names)]
    return [
        kind
        for kind in fitting
        if not any(set(kind.columns) < set(other.columns) for other in fitting)
    ]


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
