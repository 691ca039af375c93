{#
    A symbol that traded through a day, not too little, and on the next has bars of every type on the
    next: from the seed or from the day before it has a threshold of each. But where a day has so much
    more volume than the one before that `volume_split` would cut it in millions of parts, it need not
    have those.
#}
with

days as (

    select
        exchange,
        date,
        symbol,
        {# Of its trades, at least: bars are labelled by their start. #}
        max(ts_open) - min(ts_open) - to_seconds(max(bar_seconds)) as span,
        sum(trade_count) / count(distinct bar_seconds) as trade_count,
        sum(cast(volume as double)) / count(distinct bar_seconds) as volume
    from {{ lake_ref('time_bars') }}
    where trade_count > 0
    group by exchange, date, symbol

),

following as (

    select
        days.exchange,
        days.date,
        days.symbol,
        days.volume * {{ var('bars_per_day') }} < 1e6 * earlier.volume as is_cut
    from days
    inner join days as earlier
        on
            days.exchange = earlier.exchange
            and days.symbol = earlier.symbol
            and days.date = earlier.date + 1
    where
        earlier.span >= interval 12 hours
        and earlier.trade_count >= {{ var('bars_per_day') }}

),

expected as (

    select
        following.*,
        unnest([
            'tick', 'volume', 'volume_split', 'dollar',
            'tick_imbalance', 'volume_imbalance', 'dollar_imbalance',
            'tick_run', 'volume_run', 'dollar_run'
        ]) as bar_type
    from following

),

bars as (

    select exchange, date, symbol, bar_type from {{ lake_ref('tick_bars') }}
    union all
    select exchange, date, symbol, bar_type from {{ lake_ref('volume_bars') }}
    union all
    select exchange, date, symbol, bar_type from {{ lake_ref('dollar_bars') }}
    union all
    select exchange, date, symbol, bar_type from {{ lake_ref('imbalance_bars') }}
    union all
    select exchange, date, symbol, bar_type from {{ lake_ref('run_bars') }}

)

select exchange, date, symbol, bar_type
from expected
anti join bars using (exchange, date, symbol, bar_type)
where is_cut or bar_type <> 'volume_split'
