"""The simulated market: what its books, trades and channels promise each other."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.channels import CHANNELS
from ticklake.sample import listings
from ticklake.sample.feeds import Feed, Period, make_feed
from ticklake.sample.listings import Listing
from ticklake.sample.prices import PricePath
from ticklake.sample.raw_tables import raw_hours
from ticklake.sample.simulation import ASK, BID, changes_of

START_US = 1_754_006_400 * 10**6
HOUR_US = 3_600 * 10**6
ALL = (listings.BTC_PERP, listings.ETH_PERP, listings.DERIBIT_BTC, listings.HYPERLIQUID_ETH)
FEEDS = st.builds(
    lambda listing, seed, events: feed_of(listing, seed, events),
    st.sampled_from(ALL),
    st.integers(0, 2**32),
    st.integers(100, 300),
)


def feed_of(listing: Listing, seed: int, events: int = 400) -> Feed:
    period = Period(START_US, 1, seed)
    path = PricePath.make(listing.asset, seed, START_US // 10**6, 3_600)
    return make_feed(
        listing,
        path,
        period,
        busy=[(START_US, START_US + HOUR_US)],
        events=events,
        quiet_per_minute=0.05,
        first_id=1,
    )


def best(levels: Sequence[tuple[int, int]]) -> int | None:
    return levels[0][0] if levels else None


@given(FEEDS)
@settings(max_examples=25, deadline=None)
def test_every_print_took_what_stood_in_the_book_before(feed: Feed) -> None:
    book, trades = feed.book, feed.trades
    for group in trades.groups(0, len(trades)):
        row = group.start
        event, side = int(trades.event[row]), ASK if trades.is_buy[row] else BID
        stood = dict(book.levels(event - 1, side))
        left = dict(book.levels(event, side))
        price = int(trades.price[row])
        taken = int(trades.size[group.start : group.stop].sum())
        assert 0 < taken <= stood[price] - (left[price] if price == next(iter(left)) else 0)
        assert len({int(trades.ts_us[number]) for number in group}) == 1
        assert book.ts_us[event - 1] <= trades.ts_us[row] <= book.ts_us[event]


@given(FEEDS, st.sampled_from((BID, ASK)))
@settings(max_examples=25, deadline=None)
def test_the_changes_of_each_event_turn_one_book_into_the_next(feed: Feed, side: int) -> None:
    changes = changes_of(feed.book, side)
    rebuilt: dict[int, int] = {}
    place = 0
    for event in range(len(feed.book)):
        while place < len(changes.event) and changes.event[place] == event:
            price, size = int(changes.price[place]), int(changes.size[place])
            if size:
                assert rebuilt.get(price) != size
                rebuilt[price] = size
            else:
                del rebuilt[price]
            place += 1
        levels = feed.book.levels(event, side)
        assert rebuilt == dict(levels)
        assert [price for price, _ in levels] == sorted(rebuilt, reverse=side == BID)


@given(FEEDS)
@settings(max_examples=25, deadline=None)
def test_a_book_is_sound_but_for_one_fault_of_each_kind(feed: Feed) -> None:
    book = feed.book
    kinds = []
    for event in range(len(book)):
        bid, ask = best(book.levels(event, BID)), best(book.levels(event, ASK))
        if bid is None or ask is None:
            kinds.append("empty" if bid == ask else "no bids" if bid is None else "no asks")
        else:
            kinds.append("crossed" if bid > ask else "locked" if bid == ask else "sound")
        assert (kinds[-1] == "sound") == bool(book.is_sound[event])
    changes = [kind for kind, before in zip(kinds, ["", *kinds], strict=False) if kind != before]
    faults = [kind for kind in changes if kind != "sound"]
    assert faults == ["crossed", "locked", "no asks", "no bids", "empty"]


def test_events_come_in_bursts_some_at_one_instant_and_trades_too() -> None:
    feed = feed_of(listings.BTC_PERP, 1, 2_000)
    gaps = np.diff(feed.book.ts_us)
    assert (gaps == 0).sum() > 20
    assert (gaps <= 5_000).mean() > 0.2
    assert np.median(gaps) > 200_000
    sizes = np.unique(feed.trades.ts_us, return_counts=True)[1]
    assert sizes.max() >= 5
    assert (np.diff(feed.trades.ts_us) >= 0).all()


def test_ids_of_trades_rise_and_leave_out_the_prints_without_a_price() -> None:
    trades = feed_of(listings.BTC_PERP, 1, 2_000).trades
    assert set(np.diff(trades.id).tolist()) == {1, 2}


def test_all_listings_of_an_asset_follow_one_price() -> None:
    feeds = [
        feed_of(listing, 3)
        for listing in (listings.BTC_PERP, listings.BTC_SPOT, listings.DERIBIT_BTC)
    ]
    times = np.arange(START_US + HOUR_US // 10, START_US + HOUR_US, HOUR_US // 50)
    prices = []
    for feed in feeds:
        row = np.searchsorted(feed.trades.ts_us, times) - 1
        prices.append(feed.trades.price[row] / 10**feed.listing.price_digits)
    assert np.ptp(np.stack(prices), axis=0).max() / prices[0][0] < 0.002
    assert np.ptp(prices[0]) / prices[0][0] > 0.0005


def test_depth_decays_and_sizes_are_whole_lots() -> None:
    book = feed_of(listings.DERIBIT_BTC, 1, 2_000).book
    lots = book.bid_lots[book.is_sound]
    near, middle, far = (lots[:, levels].mean() for levels in (0, slice(1, 20), slice(40, 64)))
    assert near > 1.5 * middle > 1.5 * 1.5 * far > 0
    assert {size % 10 for event in range(50) for _, size in book.levels(event, BID)} == {0}


# What the sample's venues do not say.
NOT_IN_THE_SAMPLE = {"extra", "first_id", "last_id", "bid_order_counts", "ask_order_counts"}


def test_raw_tables_have_the_columns_of_their_channels() -> None:
    period = Period(START_US, 1, 1)
    hours = raw_hours(listings.BTC_PERP, period, 200)
    first, second = next(hours), next(hours)
    for name, table in zip(("order_book", "trades"), first, strict=True):
        schema = CHANNELS[name].schema
        assert [schema.field(field.name).type for field in table.schema] == table.schema.types
        assert set(schema.names) - set(table.column_names) <= NOT_IN_THE_SAMPLE
    for column in ("ts_event", "seq"):
        joined = pa.concat_tables([first[0], second[0]])[column].to_pylist()
        assert joined == sorted(joined)
    ids = pa.concat_tables([first[1], second[1]])["trade_id"].to_pylist()
    assert len(set(ids)) == len(ids)
    trade = first[1].to_pylist()[0]
    book = first[0].to_pylist()[0]
    bid, ask = book["bids"][0]["price"], book["asks"][0]["price"]
    assert bid < ask
    assert abs(float(trade["price"]) / bid - 1) < 0.01
