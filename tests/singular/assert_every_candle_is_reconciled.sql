{#
    Every candle as long as a bar of ours, by its own times, is in the reconciliation, if its symbol
    traded that day.
#}
with

klines as (

    select
        exchange,
        symbol,
        interval,
        open_time as ts_open,
        cast(open_time at time zone 'UTC' as date) as date,
        round({{ seconds_between('open_time', 'close_time') }}) as bar_seconds
    from {{ lake_ref('klines') }}

),

traded as (

    select exchange, date, symbol, bar_seconds
    from {{ lake_ref('time_bars') }}
    where trade_count > 0

)

select klines.*
from klines
semi join traded using (exchange, date, symbol, bar_seconds)
anti join {{ lake_ref('klines_reconciliation') }} using (exchange, date, symbol, interval, ts_open)
