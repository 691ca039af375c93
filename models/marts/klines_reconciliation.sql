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
{%- set day = 'exchange, date, symbol, bar_seconds' %}
{%- set key = day ~ ', interval, ts_open' %}

with

bars as (

    select {{ day }}, ts_open, {{ fields | join(', ') }}
    from {{ lake_ref('time_bars') }}
    where trade_count > 0

),

{# When the day's trades begin and end. #}
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
        true as is_candle
    from klines
    semi join days using ({{ day }})

),

intervals as (

    select distinct {{ day }}, interval from candles

),

bars_of_intervals as (

    select * from bars inner join intervals using ({{ day }})

),

paired as (

    select
        *,
        concat_ws(
            ', ',
            {% for ours, theirs in fields.items() -%}
                {%- set value = ours if ours in prices else 'coalesce(' ~ ours ~ ', 0)' -%}
                if({{ value }} <> kline_{{ theirs }}, '{{ ours }}', null)
                {{- ',' if not loop.last }}
            {% endfor -%}
        ) as differing,
        {# What trades that we lack would leave: fewer, and nothing that the exchange has not. #}
        coalesce(volume, 0) < kline_volume
        and coalesce(coalesce(match_count, 0) < kline_count, true)
        {% for ours in ['notional', 'buy_volume', 'buy_notional', 'high'] -%}
            and coalesce({{ ours }} <= kline_{{ fields[ours] }}, true)
        {% endfor -%}
        and coalesce(low >= kline_low, true) as is_part
    from candles
    full join bars_of_intervals using ({{ key }})
    inner join days using ({{ day }})

),

holes as (

    select exchange, date, symbol, 'missing_ids' as hole, ts_from, ts_to
    from {{ lake_ref('id_gaps') }}
    union all
    select exchange, date, symbol, 'silence' as hole, ts_from, ts_to
    from {{ lake_ref('silences') }}
    where table_name = 'trades'

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
        nullif(differing, '') as differing,
        case
            when is_candle is null then 'no_candle'
            when differing = '' then null
            when not is_part then 'unexplained'
            when ts_open < first_open or ts_open > last_open then 'no_trades'
            when ts_open in (first_open, last_open) then 'edge'
            else coalesce(hole, 'unexplained')
        end as cause
    from paired
    left join with_holes using ({{ key }})

)

select * from klines_reconciliation
