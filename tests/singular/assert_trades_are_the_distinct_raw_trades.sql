{#
    Trades = trades known by fills + other prints, each once, for each exchange, symbol and day: nothing lost, nothing doubled. What a duplicate is, is said here a second time and
    differently: prints with an id are counted by all that the exchange says of them, without those at
    a whole millisecond that a source with microseconds has, and those in an aggregated trade.
#}
{{ config(meta={'by_unit': true}) }}

{%- set said = 'exchange, symbol, date, trade_id, price, size, side, first_id, last_id' %}

with

fill_trades as (

    select exchange, symbol, date, ts_event, trade_id, price, size
    from {{ lake_ref('fill_trades') }}

),

prints as (

    select *
    from {{ lake_source('raw', 'trades') }}
    anti join fill_trades using (exchange, symbol, date, ts_event, trade_id, price, size)

),

clocks as (

    select
        exchange,
        symbol,
        date,
        segment,
        count(*) >= 20 and count_if(epoch_us(ts_event) % 1000 > 0) = 0 as is_in_ms
    from prints
    group by exchange, symbol, date, segment

),

aggregates as (

    select exchange, symbol, date, price, first_id, max(last_id) as last_id
    from prints
    where first_id is not null
    group by exchange, symbol, date, price, first_id

),

singles as (

    select *, try_cast(trade_id as bigint) as id_number
    from prints
    semi join aggregates using (exchange, symbol, date)
    where first_id is null

),

aggregated as (

    select singles.exchange, singles.symbol, singles.date, singles.segment, singles.segment_row
    from singles
    asof inner join aggregates
        on
            singles.exchange = aggregates.exchange
            and singles.symbol = aggregates.symbol
            and singles.date = aggregates.date
            and singles.price = aggregates.price
            and singles.id_number >= aggregates.first_id
    where singles.id_number <= aggregates.last_id

),

single_or_whole as (

    select *, hash({{ said }}) as said_hash
    from prints
    inner join clocks using (exchange, symbol, date, segment)
    anti join aggregated using (exchange, symbol, date, segment, segment_row)

),

with_id as (

    select
        exchange,
        symbol,
        date,
        coalesce(
            nullif(count(distinct ts_event) filter (where not is_in_ms), 0),
            count(distinct ts_event)
        ) as expected_count
    from single_or_whole
    where trade_id is not null
    group by exchange, symbol, date, said_hash, epoch_ms(ts_event)

),

by_segment as (

    select exchange, symbol, date, said_hash, ts_event, segment, count(*) as held_count
    from single_or_whole
    where trade_id is null
    group by exchange, symbol, date, said_hash, ts_event, segment

),

without_id as (

    select
        exchange,
        symbol,
        date,
        if({{ drops_repeats_of('exchange') }}, max(held_count), sum(held_count)) as expected_count
    from by_segment
    group by exchange, symbol, date, said_hash, ts_event

),

counted as (

    select exchange, symbol, date, sum(expected_count) as expected_count, 0 as trade_count
    from with_id
    group by exchange, symbol, date
    union all
    select exchange, symbol, date, sum(expected_count) as expected_count, 0 as trade_count
    from without_id
    group by exchange, symbol, date
    union all
    select exchange, symbol, date, count(*) as expected_count, 0 as trade_count
    from fill_trades
    group by exchange, symbol, date
    union all
    select exchange, symbol, date, 0 as expected_count, count(*) as trade_count
    from {{ lake_ref('trades') }}
    group by exchange, symbol, date

)

select
    exchange,
    symbol,
    date,
    sum(expected_count) as expected_count,
    sum(trade_count) as trade_count
from counted
group by exchange, symbol, date
having sum(expected_count) <> sum(trade_count)
