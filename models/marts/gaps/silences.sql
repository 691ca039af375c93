{# One row per long silence of a symbol, in its trades or in its order book. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['table_name', 'symbol', 'gap_seq'],
    lookback={'trades': 1, 'order_book': 1},
    time_column=none,
) }}

with

{# Within a stretch no silence is long enough, so the ends of stretches tell all that are. #}
stretches as (

    select
        'trades' as table_name,
        exchange,
        symbol,
        {{ stretch('ts_event') }} as stretch,
        min(ts_event) as first_ts,
        max(ts_event) as last_ts
    from {{ lake_ref('trades') }}
    group by exchange, symbol, stretch
    union all
    select
        'order_book' as table_name,
        exchange,
        symbol,
        {{ stretch('ts_event') }} as stretch,
        min(ts_event) as first_ts,
        max(ts_event) as last_ts
    from {{ lake_ref('order_book') }}
    group by exchange, symbol, stretch

),

compared as (

    select
        table_name,
        exchange,
        symbol,
        lag(last_ts) over (partition by table_name, exchange, symbol order by stretch) as ts_from,
        first_ts as ts_to
    from stretches

),

silences as (

    select
        exchange,
        cast(ts_to at time zone 'UTC' as date) as date,
        table_name,
        symbol,
        row_number() over (
            partition by exchange, date, table_name, symbol order by ts_to
        ) as gap_seq,
        ts_from,
        ts_to,
        {{ seconds_between('ts_from', 'ts_to') }} as seconds
    from compared
    where {{ seconds_between('ts_from', 'ts_to') }} > {{ var('gap_seconds') }}

)

select * from silences
