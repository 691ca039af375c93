{# One row per print: a trade as the venue printed it, unless it is known by its fills. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'symbol', 'date'],
    order_by=['trade_seq'],
    keeps_order=true,
) }}

{%- set row_key = 'exchange, symbol, date, segment, segment_row' %}
{%- set said = 'exchange, symbol, date, trade_id, price, size, side, first_id, last_id' %}

with

{# The trades that are known by fills, as fill_trades has them. #}
fill_trades as (

    select distinct
        exchange,
        symbol,
        date,
        ts_event,
        block_number,
        cast(tid as varchar) as trade_id,
        price,
        size
    from {{ lake_ref('fills') }}
    where tid <> 0

),

{#
    A print of a trade that is known by its fills says less than they do. Not materialized: reading a
    day of raw trades several times takes less memory than holding it.
#}
venue_trades as not materialized (

    select
        *,
        try_cast(trade_id as bigint) as id_number,
        hash(exchange, symbol, date, trade_id) as id_hash
    from {{ lake_source('raw', 'trades') }}
    anti join fill_trades using (exchange, symbol, date, ts_event, trade_id, price, size)

),

{# Almost every id is there once: a narrow hash finds the few rows that need a closer look. #}
repeated as (

    select id_hash
    from venue_trades
    where trade_id is not null
    group by id_hash
    having count(*) > 1

),

{#
    Some sources give milliseconds of a time that others give in microseconds: segments of many
    trades, all at whole milliseconds.
#}
clocks as (

    select
        exchange,
        symbol,
        date,
        segment,
        count(*) >= 20 and bool_and(epoch_us(ts_event) % 1000 = 0) as is_in_ms
    from venue_trades
    group by exchange, symbol, date, segment

),

suspects as (

    select
        {{ said }},
        segment,
        segment_row,
        ts_event,
        is_in_ms
    from venue_trades
    inner join clocks using (exchange, symbol, date, segment)
    where
        trade_id is not null
        and id_hash in (select repeated.id_hash from repeated)

),

{#
    The first arrival stays. A duplicate equals it in all that the exchange says; when it was received
    may differ. The same id with another time, price or size is another trade.
#}
duplicates as (

    select {{ row_key }}
    from suspects
    window
        same_trade as (
            partition by {{ said }}, epoch_ms(ts_event)
            order by ts_event, is_in_ms, segment, segment_row
        ),
        same_millisecond as (partition by {{ said }}, epoch_ms(ts_event))
    qualify
        coalesce(ts_event = lag(ts_event) over same_trade, false)
        or (is_in_ms and not bool_and(is_in_ms) over same_millisecond)

),

{# Symbols and days with single and with aggregated trades. #}
mixed as (

    select exchange, symbol, date
    from {{ lake_source('raw', 'trades') }}
    group by exchange, symbol, date
    having count(first_id) > 0 and count(first_id) < count(*)

),

aggregates as (

    select exchange, symbol, date, price, first_id, max(last_id) as last_id
    from venue_trades
    semi join mixed using (exchange, symbol, date)
    where first_id is not null
    group by exchange, symbol, date, price, first_id

),

{# An aggregated trade replaces the single trades in it, which are left out. #}
aggregated as (

    select
        prints.exchange,
        prints.symbol,
        prints.date,
        prints.segment,
        prints.segment_row
    from venue_trades as prints
    semi join mixed using (exchange, symbol, date)
    asof inner join aggregates
        on
            prints.exchange = aggregates.exchange
            and prints.symbol = aggregates.symbol
            and prints.date = aggregates.date
            and prints.price = aggregates.price
            and prints.id_number >= aggregates.first_id
    where prints.first_id is null and prints.id_number <= aggregates.last_id

),

{%- if var('drop_repeats_of') %}

{# Equal trades without an id that several segments have: the segment with most of them keeps its. #}
held as (

    select
        *,
        count(*) over (
            partition by exchange, symbol, date, ts_event, price, size, side, segment
        ) as held_count
    from venue_trades
    where trade_id is null and {{ drops_repeats_of('exchange') }}

),

repeats as (

    select {{ row_key }}
    from held
    qualify
        segment <> first_value(segment) over (
            partition by exchange, symbol, date, ts_event, price, size, side
            order by held_count desc, segment
        )

),
{%- endif %}

left_out as (

    select * from duplicates
    union all
    select * from aggregated
    {%- if var('drop_repeats_of') %}
        union all
        select * from repeats
    {%- endif %}

),

{#
    At one instant ids that are numbers count up: a print that came late goes where it belongs. Trades
    known by fills come after the prints of their instant.
#}
ordered as (

    select
        *,
        false as is_of_fills
    from venue_trades
    anti join left_out using ({{ row_key }})
    union all by name
    select
        exchange,
        symbol,
        date,
        ts_event,
        true as is_of_fills
    from fill_trades
    order by
        exchange, symbol, date, ts_event, is_of_fills, id_number nulls first, segment, segment_row

),

{# Rows in order are counted as they pass; a window by partition would sort them once more. #}
counted as (

    select
        *,
        row_number() over () as position,
        {{ is_first_of('exchange', 'symbol', 'date') }} as is_first
    from ordered

),

numbered as (

    select
        *,
        {{ position_since('is_first') }} as trade_seq  -- noqa: PRS
    from counted

),

prints as (

    select
        exchange,
        symbol,
        date,
        trade_seq,
        ts_event,
        ts_capture,
        trade_id,
        price,
        size,
        side,
        first_id,
        last_id
    from numbered
    where not is_of_fills

)

select * from prints
