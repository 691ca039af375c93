{#
    VPIN of a row of the order book = that of the last bucket known at its time, of the smallest buckets
    of its symbol and day. Before the day's first one it is of yesterday's trades alone.
#}
{{ config(meta={'by_unit': true}) }}

with

buckets as (

    select exchange, date, symbol, bar_seq, ts_available, vpin
    from {{ lake_ref('vpin_buckets') }}
    qualify threshold = min(threshold) over (partition by exchange, date, symbol)

),

{# A large trade completes several at once: the last of them counts. #}
known as (

    select
        exchange,
        date,
        symbol,
        ts_available as ts,
        vpin
    from buckets
    qualify
        row_number() over (
            partition by exchange, date, symbol, ts_available
            order by bar_seq desc
        ) = 1

)

select
    trade_flow.exchange,
    trade_flow.symbol,
    trade_flow.date,
    trade_flow.row_seq
from {{ lake_ref('trade_flow') }} as trade_flow
asof inner join known
    on
        trade_flow.exchange = known.exchange
        and trade_flow.date = known.date
        and trade_flow.symbol = known.symbol
        and trade_flow.ts >= known.ts
where trade_flow.vpin is distinct from known.vpin
