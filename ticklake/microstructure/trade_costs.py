"""One row per trade: what it paid. The columns of `featured.trade_quality`."""

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ticklake.microstructure.book import read_day, to_arrow
from ticklake.microstructure.trade_flow import ratio
from ticklake.microstructure.trade_quality import effective_spread, quote_before
from ticklake.microstructure.trades import SCHEMA as TRADES
from ticklake.microstructure.trades import read_trades

KEYS: Final = ("exchange", "symbol", "date", "trade_seq")
READ: Final = (*KEYS, *TRADES.names, "first_id", "last_id")
"""What is looked at of `trades`."""

SCHEMA: Final = pa.schema(
    [
        ("exchange", pa.string()),
        ("symbol", pa.string()),
        ("date", pa.date32()),
        ("trade_seq", pa.int64()),
        ("ts_event", pa.timestamp("us", "UTC")),
        ("ts", pa.timestamp("us", "UTC")),
        ("side", pa.string()),
        ("price", pa.float64()),
        ("size", pa.float64()),
        ("mid_before", pa.float64()),
        ("quote_age_us", pa.int64()),
        ("effective_spread", pa.float64()),
        ("effective_spread_bps", pa.float64()),
        ("aggtrade_fills", pa.int64()),
    ]
)


def trade_costs(
    trades: pa.Table, book: pa.Table, book_before: pa.Table | None, max_gap_s: int
) -> pa.Table:
    """Return what each trade paid, in the order of `trades`.

    `trades` and `book` are the partitions of a symbol and day, `book_before` is the end of the day
    before: at least its last `max_gap_s`. A print without a price, as Binance has them, is no trade
    at a price and paid nothing that is known.
    """
    rows = book if book_before is None else pa.concat_tables([book_before, book])
    quotes, _ = read_day(rows, None, 0)
    known = read_trades(trades)
    mid, age = quote_before(known.ts_us, quotes.ts_us, quotes.mid, max_gap_s * 1_000_000)
    paid = effective_spread(known.price, known.sign, mid)
    paid = np.where(known.price > 0, paid, np.nan)
    made = {
        "ts": known.ts_us,
        "price": known.price,
        "size": known.size.as_floats(known.size.values),
        "mid_before": mid,
        "quote_age_us": age,
        "effective_spread": paid,
        "effective_spread_bps": ratio(1e4 * paid, mid),
    }
    columns = {name: to_arrow(values, SCHEMA.field(name).type) for name, values in made.items()}
    columns["aggtrade_fills"] = pc.add(pc.subtract(trades["last_id"], trades["first_id"]), 1)
    for name in (*KEYS, "ts_event", "side"):
        columns[name] = trades[name].cast(SCHEMA.field(name).type)
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)
