{# One row per candle that the exchange published: symbol, interval and start. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'symbol', 'interval', 'month'],
    order_by=['open_time'],
    time_column='open_time',
) }}

{%- set candle = 'exchange, symbol, interval, month, open_time' %}
{%- set numbers = [
    'close_time', 'open', 'high', 'low', 'close', 'volume', 'quote_volume', 'count',
    'taker_buy_volume', 'taker_buy_quote_volume'
] %}

with

raw_klines as (

    select *
    from {{ lake_source('raw', 'klines') }}

),

{# A candle is published while it is open, too: the one with most trades in it is the whole one. #}
chosen as (

    select *
    from raw_klines
    qualify
        row_number() over (
            partition by {{ candle }}
            order by count desc nulls last, volume desc, segment asc, segment_row asc
        ) = 1

),

repeated as (

    select {{ candle }}
    from raw_klines
    group by {{ candle }}
    having count(*) > 1

),

{# A number that one of the two leaves out is no conflict. #}
conflicts as (

    select
        {{ candle }},
        count_if(
            {% for name in numbers -%}
                coalesce(raw_klines.{{ name }} <> chosen.{{ name }}, false)
                {{- ' or' if not loop.last }}
            {% endfor %}
        ) as conflict_count
    from raw_klines
    semi join repeated using ({{ candle }})
    inner join chosen using ({{ candle }})
    group by {{ candle }}

),

klines as (

    select
        exchange,
        symbol,
        interval,
        month,
        open_time,
        close_time,
        open,
        high,
        low,
        close,
        volume,
        quote_volume,
        count,
        taker_buy_volume,
        taker_buy_quote_volume,
        ignore,
        extra,
        cast(coalesce(conflict_count, 0) as bigint) as conflict_count
    from chosen
    left join conflicts using ({{ candle }})

)

select * from klines
