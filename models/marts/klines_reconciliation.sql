{# One row per candle of the exchange or bar of ours, of symbols and days that have both. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'bar_seconds', 'interval', 'ts_open'],
    units_from='time_bars',
    time_column='ts_open',
) }}

{#- Ours and theirs. #}
{%- set fields = {
    'open': 'open',
    'high': 'high',
    'low': 'low',
    'close': 'close',
    'volume': 'volume',
    'notional': 'quote_volume',
    'match_count': 'count',
    'buy_volume': 'taker_buy_volume',
    'buy_notional': 'taker_buy_quote_volume',
} %}
{%- set prices = ['open', 'high', 'low', 'close'] %}
{%- set notionals = ['notional', 'buy_notional'] %}
{#- Notionals have 14 digits before the point: a larger quote volume equals none of ours. #}
{%- set most = '99999999999999.999999999999' %}
{%- set theirs_of = {} %}
{%- for ours, theirs in fields.items() %}
    {%- set value = 'kline_' ~ theirs %}
    {%- if ours in notionals %}
        {%- set value = 'if(' ~ value ~ ' > ' ~ most ~ ', ' ~ most ~ ', ' ~ value ~ ')' %}
    {%- endif %}
    {%- do theirs_of.update({ours: value}) %}
{%- endfor %}
{%- set day = 'exchange, date, symbol, bar_seconds' %}
{%- set key = day ~ ', interval, ts_open' %}

with

bars as (

    select {{ day }}, ts_open, {{ fields | join(', ') }}
    from {{ lake_ref('time_bars') }}
    where trade_count > 0

),

{# The time of the day's first and last bar with a trade. #}
days as (

    select {{ day }}, min(ts_open) as first_open, max(ts_open) as last_open
    from bars
    group by {{ day }}

),

klines as (

    select
        *,
        cast(open_time at time zone 'UTC' as date) as date,
        {{ interval_seconds('interval') }} as bar_seconds
    from {{ lake_ref('klines') }}

),

candles as (

    select
        {{ day }},
        interval,
        open_time as ts_open,
        {% for theirs in fields.values() -%}
            {{ theirs }} as kline_{{ theirs }},
        {% endfor -%}
        true as is_candle,
        epoch_us(open_time) % (bar_seconds * 1000000) <> 0 as is_off_grid,
        {# Exchanges write the last millisecond, microsecond or second of a candle as its end. #}
        epoch_us(open_time) + bar_seconds * 1000000 - epoch_us(close_time) as us_early,
        us_early > 1000 and us_early <> 1000000 as is_closed_early,
        cast(quote_volume as double) / cast(volume as double) as mean_price,
        if(
            volume > 0,
            mean_price between cast(low as double) * 0.999999 and cast(high as double) * 1.000001,
            null
        ) as is_notional
    from klines
    semi join days using ({{ day }})

),

{# The quote volume of an inverse contract is not price times size. It is not compared then. #}
intervals as (

    select
        {{ day }},
        interval,
        count(*) filter (where is_notional) * 2 >= count(is_notional) as is_notional_compared
    from candles
    group by {{ day }}, interval

),

bars_of_intervals as (

    select bars.*, intervals.interval
    from bars
    inner join intervals using ({{ day }})

),

paired as (

    select
        *,
        concat_ws(
            ', ',
            {% for ours, theirs in theirs_of.items() -%}
                {%- set value = ours if ours in prices else 'coalesce(' ~ ours ~ ', 0)' -%}
                if(
                    {{ value }} <> {{ theirs }}
                    {%- if ours in notionals %} and is_notional_compared{% endif %},
                    '{{ ours }}',
                    null
                )
                {{- ',' if not loop.last }}
            {% endfor -%}
        ) as differing,
        {# If we lack some of the exchange's trades, the bar has nothing that the candle has not. #}
        coalesce(volume, 0) <= kline_volume
        and coalesce(coalesce(match_count, 0) <= kline_count, true)
        {% for ours in ['notional', 'buy_volume', 'buy_notional', 'high'] -%}
            and coalesce(
                {{ ours }} <= {{ theirs_of[ours] }}
                {%- if ours in notionals %} or not is_notional_compared{% endif %},
                true
            )
        {% endfor -%}
        and coalesce(low >= kline_low, true) as is_within,
        is_within
        and coalesce(volume, 0) < kline_volume
        and coalesce(coalesce(match_count, 0) < kline_count, true) as is_part
    from candles
    full join bars_of_intervals using ({{ key }})
    inner join days using ({{ day }})
    inner join intervals using ({{ day }}, interval)

),

holes as (

    select exchange, date, symbol, 'missing_ids' as hole, ts_from, ts_to
    from {{ lake_ref('id_gaps') }}
    union all
    select exchange, date, symbol, 'silence' as hole, ts_from, ts_to
    from {{ lake_ref('silences') }}
    where table_name = 'trades'
    union all
    {# Bars leave out prints with price 0 or size 0. A candle may count them. #}
    select exchange, date, symbol, 'zero_prints' as hole, ts_event as ts_from, ts_event as ts_to
    from {{ lake_ref('trades') }}
    where price = 0 or size = 0

),

with_holes as (

    select {{ key }}, min(hole) as hole
    from paired
    inner join holes using (exchange, date, symbol)
    where
        differing <> ''
        and ts_open <= ts_to
        and ts_open + to_seconds(bar_seconds) > ts_from
    group by {{ key }}

),

klines_reconciliation as (

    select
        exchange,
        date,
        symbol,
        cast(bar_seconds as integer) as bar_seconds,
        interval,
        ts_open,
        {% for ours, theirs in fields.items() -%}
            {{ ours }},
            kline_{{ theirs }},
        {% endfor -%}
        is_notional_compared,
        nullif(differing, '') as differing,
        case
            when is_candle is null then 'no_candle'
            when differing = '' then null
            when is_off_grid then 'off_grid'
            when is_closed_early then 'closed_early'
            when is_within and hole = 'zero_prints' then hole
            when not is_part then 'unexplained'
            when ts_open < first_open or ts_open > last_open then 'no_trades'
            when ts_open in (first_open, last_open) then 'edge'
            else coalesce(hole, 'unexplained')
        end as cause
    from paired
    left join with_holes using ({{ key }})

)

select * from klines_reconciliation
