"""Captures of a made-up market, and what the venue itself would say of it.

Everything is counted in whole ticks and lots. Each change of the book has an update id; futures
leave ids out, spot does not. Depth events gather the changes of a while, best bids and asks go out
at each change of the best levels, and snapshots are answered a few events late.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

BEGIN_MS: Final = 1_723_161_240_000
MINUTE_MS: Final = 60_000
CLOCK_BEHIND_NS: Final = 1_200_000_000
TICK: Final = Decimal("0.10")
LOT: Final = Decimal("0.001")
DEPTH: Final = 300


@dataclass
class Kline:
    """What the venue publishes of a minute."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal = Decimal(0)
    quote_volume: Decimal = Decimal(0)
    count: int = 0
    taker_buy_volume: Decimal = Decimal(0)
    taker_buy_quote_volume: Decimal = Decimal(0)


@dataclass
class Market:
    """A symbol whose events go out as lines, with `is_futures` or else as spot does."""

    seed: int
    symbol: str = "BTCUSDT"
    is_futures: bool = True
    has_prefix: bool = True
    is_wrapped: bool = True
    names_its_snapshots: bool = False
    klines: dict[int, Kline] = field(default_factory=dict)
    """By the begin of the minute."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        middle = 600_000 + self._random.randrange(10_000)
        lots = self._random.randrange
        self._bids = {middle - 1 - n: lots(1, 5_000) for n in range(DEPTH)}
        self._asks = {middle + 1 + n: lots(1, 5_000) for n in range(DEPTH)}
        self._ms = BEGIN_MS
        self._id = self._last_sent = 5_123_107_832_006
        self._trade_id = 5_266_583_935
        self._changed: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self._first_changed = 0

    def lines(self, steps: int, snapshot_every: int = 20_000) -> Iterator[str]:
        """Yield the lines of so many changes of the book."""
        answers: list[tuple[int, str]] = []
        for step in range(steps):
            self._ms += self._random.choice((0, 0, 1, 3, 9))
            yield from self._change()
            if self._random.random() < 0.08:
                yield self._depth()
            if step % snapshot_every == 30:
                answers.append((step + self._random.randrange(200), self._snapshot()))
            if answers and answers[0][0] == step:
                yield answers.pop(0)[1]

    def _change(self) -> Iterator[str]:
        before = self._best()
        side = self._random.randrange(2)
        levels = (self._bids, self._asks)[side]
        best, away = before[side][0], 2 * side - 1
        kind = self._random.random()
        if kind < 0.25:
            # A market order takes from the best level of this side.
            self._set(side, best, levels[best] - (lots := self._random.randint(1, levels[best])))
            yield self._trade(best, lots, is_buy=side == 1)
            if kind < 0.001:
                self._trade_id += 1
                yield self._trade_line(Decimal(0), Decimal(0), is_buy=True)
        elif kind < 0.3 and before[1][0] - before[0][0] > 1:
            self._set(side, best - away, self._random.randint(1, 5_000))
        else:
            place = best + away * int(self._random.expovariate(0.05))
            gone = self._random.random() < 0.3 and len(levels) > 50
            self._set(side, place, 0 if gone else self._random.randint(1, 5_000))
        if self._best() != before:
            yield self._ticker()

    def _best(self) -> tuple[tuple[int, int], tuple[int, int]]:
        bid, ask = max(self._bids), min(self._asks)
        return (bid, self._bids[bid]), (ask, self._asks[ask])

    def _set(self, side: int, place: int, lots: int) -> None:
        self._id += self._random.randint(1, 900) if self.is_futures else 1
        if not any(self._changed):
            self._first_changed = self._id
        (self._bids, self._asks)[side][place] = lots
        self._changed[side][place] = lots
        if not lots:
            del (self._bids, self._asks)[side][place]

    def _trade(self, place: int, lots: int, *, is_buy: bool) -> str:
        self._trade_id += 1
        price, size = place * TICK, lots * LOT
        minute = self._ms // MINUTE_MS * MINUTE_MS
        kline = self.klines.setdefault(minute, Kline(price, price, price, price))
        kline.high, kline.low = max(kline.high, price), min(kline.low, price)
        kline.close = price
        kline.volume += size
        kline.quote_volume += price * size
        kline.count += 1
        kline.taker_buy_volume += size * is_buy
        kline.taker_buy_quote_volume += price * size * is_buy
        return self._trade_line(price, size, is_buy=is_buy)

    def _trade_line(self, price: Decimal, size: Decimal, *, is_buy: bool) -> str:
        kind = '"MARKET"' if price else '"NA"'
        maker = "false" if is_buy else "true"
        rest = f'"X":{kind},"m":{maker}' if self.is_futures else f'"m":{maker},"M":true'
        return self._line(
            f"{self.symbol.lower()}@trade",
            f'{{"e":"trade","E":{self._ms + 1},"T":{self._ms},"s":"{self.symbol}",'
            f'"t":{self._trade_id},"p":"{price}","q":"{size}",{rest}}}',
        )

    def _ticker(self) -> str:
        (bid, bid_lots), (ask, ask_lots) = self._best()
        prices = (
            f'"s":"{self.symbol}","b":"{bid * TICK}","B":"{bid_lots * LOT}",'
            f'"a":"{ask * TICK}","A":"{ask_lots * LOT}"'
        )
        text = f'{{"u":{self._id},{prices}}}'
        if self.is_futures:
            text = f'{{"e":"bookTicker",{text[1:-1]},"T":{self._ms},"E":{self._ms + 1}}}'
        return self._line(f"{self.symbol.lower()}@bookTicker", text)

    def _depth(self) -> str:
        first = self._first_changed if any(self._changed) else self._id + 1
        if not any(self._changed):
            self._id += 1
        if not self.is_futures:
            first = self._last_sent + 1
        before = f',"pu":{self._last_sent}' if self.is_futures else ""
        bids, asks = (_levels(side) for side in self._changed)
        time = f'"E":{self._ms + 1},"T":{self._ms}' if self.is_futures else f'"E":{self._ms}'
        self._last_sent, self._changed = self._id, ({}, {})
        return self._line(
            f"{self.symbol.lower()}@depth@100ms",
            f'{{"e":"depthUpdate",{time},"s":"{self.symbol}","U":{first},"u":{self._id}{before},'
            f'"b":[{bids}],"a":[{asks}]}}',
        )

    def _snapshot(self) -> str:
        name = f'"symbol":"{self.symbol}",' if self.names_its_snapshots else ""
        time = f'"E":{self._ms},"T":{self._ms},' if self.is_futures else ""
        bids, asks = _levels(self._bids), _levels(self._asks)
        content = f'{{"lastUpdateId":{self._id},{name}{time}"bids":[{bids}],"asks":[{asks}]}}'
        return self._line(None, content)

    def _line(self, stream: str | None, content: str) -> str:
        if stream is not None and self.is_wrapped:
            content = f'{{"stream":"{stream}","data":{content}}}'
        prefix = self._ms * 1_000_000 - CLOCK_BEHIND_NS + self._random.randrange(900_000)
        return f"{prefix} {content}\n" if self.has_prefix else f"{content}\n"


def _levels(side: dict[int, int]) -> str:
    return ",".join(f'["{place * TICK}","{lots * LOT}"]' for place, lots in side.items())
