{# One row per long silence of a symbol within a day, in its trades or in its order book. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['table_name', 'symbol', 'gap_seq'],
    time_column=none,
) }}

with

{# Within a bucket no silence is long enough, so the ends of buckets show all that are. #}
buckets as (

    select
        'trades' as table_name,
        exchange,
        symbol,
        date,
        {{ gap_bucket('ts_event') }} as bucket,
        min(ts_event) as first_ts,
        max(ts_event) as last_ts
    from {{ lake_ref('trades') }}
    group by exchange, symbol, date, bucket
    union all
    select
        'order_book' as table_name,
        exchange,
        symbol,
        date,
        {{ gap_bucket('ts_event') }} as bucket,
        min(ts_event) as first_ts,
        max(ts_event) as last_ts
    from {{ lake_ref('order_book') }}
    group by exchange, symbol, date, bucket

),

compared as (

    select
        table_name,
        exchange,
        symbol,
        date,
        lag(last_ts) over (
            partition by table_name, exchange, symbol, date order by bucket
        ) as ts_from,
        first_ts as ts_to
    from buckets

),

silences as (

    select
        exchange,
        date,
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
