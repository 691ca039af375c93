{# One row per table, exchange, symbol and day that has rows: what was recorded, and how well. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['table_name', 'symbol'],
    time_column=none,
) }}

{%- set tables = ['funding_rates', 'mark_prices', 'order_book', 'tickers', 'trades'] -%}
{%- set key = 'table_name, exchange, symbol, date' %}

with

{# In the order of arrival: late is what comes after something younger. #}
arrivals as (

    {% for table in tables -%}
        select
            '{{ table }}' as table_name,
            exchange,
            symbol,
            date,
            ts_event < max(ts_event) over (
                partition by exchange, symbol, date
                order by segment, segment_row
                rows between unbounded preceding and 1 preceding
            ) as is_late
        from {{ lake_source('raw', table) }}
        {{- ' union all' if not loop.last }}
    {% endfor %}

),

arrived as (

    select
        {{ key }},
        count(*) as raw_row_count,
        count(*) filter (where is_late) as late_count
    from arrivals
    group by {{ key }}

),

{# Trades without an id that other segments have, too, beyond those of the segment with most. #}
held as (

    select
        exchange,
        symbol,
        date,
        segment,
        hash(ts_event, price, size, side) as said_hash,
        count(*) as held_count
    from {{ lake_source('raw', 'trades') }}
    where trade_id is null and not {{ drops_repeats_of('exchange') }}
    group by exchange, symbol, date, segment, said_hash

),

repeats as (

    select exchange, symbol, date, sum(held_count) - max(held_count) as repeated_count
    from held
    group by exchange, symbol, date, said_hash
    having count(*) > 1

),

repeated as (

    select 'trades' as table_name, exchange, symbol, date, sum(repeated_count) as repeated_count
    from repeats
    group by exchange, symbol, date

),

{#
    Rows that one id or number has, which is to say one event: more than one is a conflict. The ids of
    trades that are known by their fills name one event of a block.
#}
events as (

    select 'trades' as table_name, exchange, symbol, date, count(*) as row_count
    from {{ lake_ref('trades') }}
    where trade_id is not null
    group by
        exchange, symbol, date, hash(trade_id, block_number, if(leg_count is null, null, ts_event))
    having count(*) > 1
    {% for table in ['order_book', 'tickers'] -%}
        union all
        select '{{ table }}' as table_name, exchange, symbol, date, count(*) as row_count
        from {{ lake_ref(table) }}
        where seq is not null
        group by exchange, symbol, date, ts_event, seq
        having count(*) > 1
    {% endfor %}

),

conflicts as (

    select {{ key }}, sum(row_count - 1) as conflict_count
    from events
    group by {{ key }}

),

stored as (

    {% for table in tables -%}
        select
            '{{ table }}' as table_name,
            exchange,
            symbol,
            date,
            ts_event,
            epoch_us(ts_capture) - epoch_us(ts_event) as lag_us,
            lag(ts_event) over (
                partition by exchange, symbol, date
                order by {{ 'trade_seq' if table == 'trades' else 'row_seq' }}
            ) as previous_ts,
            {{ 'book_state' if table == 'order_book' else quote_state('bid_price', 'ask_price')
                if table == 'tickers' else 'cast(null as varchar)' }} as state,
            {{ is_usual_value(table) }} is not true as is_odd,
            {{ 'is_reset' if table == 'order_book' else 'cast(null as boolean)' }} as is_reset,
            {{ 'leg_count is null' if table == 'trades' else 'true' }} as is_of_raw
        from {{ lake_ref(table) }}
        {{- ' union all' if not loop.last }}
    {% endfor %}

),

kept as (

    select
        {{ key }},
        count(*) as row_count,
        count(*) filter (where is_of_raw) as raw_kept_count,
        count(*) filter (where is_odd) as odd_count,
        count(state) as state_count,
        {% for state in ['ok', 'locked', 'crossed', 'one_sided', 'empty'] -%}
            if(count(state) > 0, count(*) filter (where state = '{{ state }}'), null)
                as {{ state }}_count,
        {% endfor -%}
        if(count(is_reset) > 0, count(*) filter (where is_reset), null) as reset_count,
        {% for percent in [1, 50, 99] -%}
            quantile_disc(lag_us, {{ percent / 100 }}) as lag_us_p{{ percent }},
        {% endfor -%}
        max({{ seconds_between('previous_ts', 'ts_event') }}) as max_silence_s,
        max({{ seconds_between('previous_ts', 'ts_event') }}) filter (
            where is_reset is not true
        ) as max_unmarked_silence_s
    from stored
    group by {{ key }}

),

breaks as (

    select
        'order_book' as table_name,
        exchange,
        symbol,
        date,
        count(*) filter (where is_gap) as gap_count
    from {{ lake_ref('order_flow') }}
    group by exchange, symbol, date

),

quality as (

    select
        exchange,
        date,
        table_name,
        symbol,
        row_count,
        (ok_count + locked_count) / state_count as valid_share,
        crossed_count,
        one_sided_count,
        empty_count,
        locked_count,
        gap_count,
        reset_count,
        odd_count,
        coalesce(raw_row_count, 0) - raw_kept_count as duplicate_count,
        cast(coalesce(conflict_count, 0) as bigint) as conflict_count,
        cast(coalesce(repeated_count, 0) as bigint) as repeated_count,
        coalesce(late_count, 0) as late_count,
        max_silence_s,
        max_unmarked_silence_s,
        lag_us_p1,
        lag_us_p50,
        lag_us_p99
    from kept
    left join arrived using ({{ key }})
    left join breaks using ({{ key }})
    left join conflicts using ({{ key }})
    left join repeated using ({{ key }})

)

select * from quality
