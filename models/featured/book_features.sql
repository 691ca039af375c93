{# One row per book row: what one snapshot of the book says by itself. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'symbol', 'date'],
    order_by=['row_seq'],
    keeps_order=true,
) }}

{%- set levels = range(1, var('book_levels') + 1) -%}
{%- set slope_levels = range(1, [5, var('book_levels')] | min + 1) %}

with

books as (

    select
        * exclude (ts_capture),
        coalesce(ts_capture, ts_event) as ts,
        book_state in ('ok', 'locked') as is_valid,
        {% for side in ('bid', 'ask') -%}
            {% for level in levels -%}
                coalesce({{ side }}_size_{{ level }}, 0) as {{ side }}_held_{{ level }},
            {% endfor -%}
        {% endfor -%}
        if(is_valid, (bid_price_1 + ask_price_1) / 2, null) as mid,
        if(is_valid, ask_price_1 - bid_price_1, null) as spread
    from {{ lake_ref('order_book') }}

),

{# Sums build on each other here, outside of any `if`, so that each is computed once. #}
depths as (

    select
        *,
        {% for side in ('bid', 'ask') -%}
            {{ side }}_size_1 as {{ side }}_cum_depth_l1,
            {% for level in levels if level > 1 -%}
                {{ side }}_cum_depth_l{{ level - 1 }} + {{ side }}_held_{{ level }}
                    as {{ side }}_cum_depth_l{{ level }},
            {% endfor -%}
            {% for level in slope_levels if level > 1 -%}
                {{ side ~ '_behind_' ~ (level - 1) ~ ' + ' if level > 2 -}}
                {{ side }}_held_{{ level }} as {{ side }}_behind_{{ level }},
            {% endfor -%}
            {% for level in levels -%}
                abs({{ side }}_price_{{ level }} - mid) as {{ side }}_distance_{{ level }},
            {% endfor -%}
            {{ mean_distance(side, slope_levels) }} as {{ side }}_mean_distance,
            {% for level in slope_levels -%}
                {{ side }}_distance_{{ level }} - {{ side }}_mean_distance
                    as {{ side }}_off_{{ level }},
            {% endfor -%}
        {% endfor -%}
        abs(
            {{ last_level('bid_price_', 'bid_levels', levels) }} - mid
        ) as bid_reach,
        abs(
            {{ last_level('ask_price_', 'ask_levels', levels) }} - mid
        ) as ask_reach
    from books

),

features as (

    select
        exchange,
        symbol,
        date,
        row_seq,
        ts_event,
        ts,
        book_state,
        is_valid,
        book_state = 'crossed' as is_crossed,
        book_state = 'locked' as is_locked,
        bid_levels,
        ask_levels,
        bid_price_1 as best_bid,
        ask_price_1 as best_ask,
        bid_size_1 as best_bid_size,
        ask_size_1 as best_ask_size,
        mid,
        spread,
        ask_price_1 - bid_price_1 as spread_raw,
        spread / mid as relative_spread,
        1e4 * spread / mid as spread_bps,
        {# (pb1 qa1 + pa1 qb1) / (qb1 + qa1), so that rounding cannot leave the spread. #}
        bid_price_1 + spread * (bid_size_1 / (bid_size_1 + ask_size_1)) as microprice,
        {# Microprice less mid, without the rounding of the difference of two large numbers. #}
        spread / 2 * (bid_size_1 - ask_size_1) / (bid_size_1 + ask_size_1) as micro_minus_mid,
        {% for side in ('bid', 'ask') -%}
            {% for level in levels -%}
                {{ side }}_cum_depth_l{{ level }},
            {% endfor -%}
        {% endfor -%}
        {% for level in levels -%}
            if(
                is_valid,
                (bid_cum_depth_l{{ level }} - ask_cum_depth_l{{ level }})
                / (bid_cum_depth_l{{ level }} + ask_cum_depth_l{{ level }}),
                null
            ) as imbalance_l{{ level }},
        {% endfor -%}
        {% for size in var('sweep_sizes') -%}
            {%- set named = size | string | replace('.', '_') -%}
            {{ sweep_price('ask', size, levels) }} as sweep_px_buy_{{ named }},
            {{ sweep_price('bid', size, levels) }} as sweep_px_sell_{{ named }},
        {% endfor -%}
        {% for side in ('bid', 'ask') -%}
            {% for bps in var('depth_bps') -%}
                {%- set named = bps | string | replace('.', '_') -%}
                {{ depth_within(side, bps, levels) }} as {{ side }}_depth_{{ named }}bps,
            {% endfor -%}
            {{ book_slope(side, slope_levels) }} as {{ side }}_slope,
            {{ book_slope_ols(side, slope_levels) }} as {{ side }}_slope_ols,
        {% endfor -%}
        bid_cum_depth_l{{ levels | last }} + ask_cum_depth_l{{ levels | last }} as total_depth
    from depths

)

select * from features
