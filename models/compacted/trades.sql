{# One row per trade: the venue's own prints, and the trades known by their fills. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'symbol', 'date'],
    order_by=['trade_seq'],
    keeps_order=true,
) }}

{%- set trade_key = 'exchange, symbol, date, trade_id' %}

with

fill_trades as (

    select
        exchange,
        symbol,
        date,
        trade_seq as fill_trade_seq,
        ts_event,
        trade_id,
        price,
        size,
        side,
        taker_user,
        maker_user,
        block_number,
        is_liquidation,
        leg_count
    from {{ lake_ref('fill_trades') }}

),

{#
    A print of a trade that is known by its fills says less than they do. Not materialized: a day of
    raw trades is read three times rather than held once.
#}
venue_trades as not materialized (

    select
        *,
        try_cast(trade_id as bigint) as id_number,
        hash({{ trade_key }}) as key_hash
    from {{ lake_source('raw', 'trades') }}
    anti join fill_trades using (exchange, symbol, date, ts_event, trade_id)

),

{# Almost every trade is there once: a narrow hash finds the few rows that need a closer look. #}
repeated as (

    select key_hash
    from venue_trades
    where trade_id is not null
    group by key_hash
    having count(*) > 1

),

{# First arrival wins. A trade without an id is no duplicate of any. #}
duplicates as (

    select exchange, symbol, date, segment, segment_row
    from venue_trades
    where
        trade_id is not null
        and key_hash in (select repeated.key_hash from repeated)
    qualify row_number() over (partition by {{ trade_key }} order by segment, segment_row) > 1

),

{# At one instant ids that are numbers count up: a print that came late goes where it belongs. #}
ordered as (

    select *
    from venue_trades
    anti join duplicates using (exchange, symbol, date, segment, segment_row)
    union all by name
    select * from fill_trades
    order by
        exchange, symbol, date, ts_event,
        fill_trade_seq nulls first, id_number nulls first, segment, segment_row

),

{# Rows in order are counted as they pass; a window by partition would sort them once more. #}
counted as (

    select
        *,
        row_number() over () as position,
        {{ is_first_of('exchange', 'symbol', 'date') }} as is_first
    from ordered

),

trades as (

    select
        exchange,
        symbol,
        date,
        {{ position_since('is_first') }} as trade_seq,  -- noqa: PRS
        ts_event,
        ts_capture,
        trade_id,
        price,
        size,
        side,
        first_id,
        last_id,
        taker_user,
        maker_user,
        block_number,
        is_liquidation,
        leg_count
    from counted

)

select * from trades
