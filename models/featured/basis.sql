{# One row per book row: what mark price, index and funding say at its time. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'symbol', 'date'],
    order_by=['row_seq'],
    units_from='order_book',
    lookback={'mark_prices': 1, 'funding_rates': 1},
) }}

with

books as (

    select
        exchange,
        symbol,
        date,
        row_seq,
        ts_event,
        coalesce(ts_capture, ts_event) as ts,
        if(book_state in ('ok', 'locked'), (bid_price_1 + ask_price_1) / 2, null) as mid
    from {{ lake_ref('order_book') }}

),

{# An as-of join on a time that repeats could take either row: the last one of each time is it. #}
marks as (

    select
        exchange,
        symbol,
        coalesce(ts_capture, ts_event) as ts,
        mark_price,
        index_price
    from {{ lake_ref('mark_prices') }}
    qualify
        row_number() over (
            partition by exchange, symbol, coalesce(ts_capture, ts_event)
            order by date desc, row_seq desc
        ) = 1

),

fundings as (

    select
        exchange,
        symbol,
        coalesce(ts_capture, ts_event) as ts,
        funding_rate,
        interval_hours
    from {{ lake_ref('funding_rates') }}
    qualify
        row_number() over (
            partition by exchange, symbol, coalesce(ts_capture, ts_event)
            order by date desc, row_seq desc
        ) = 1

),

joined as (

    select
        books.*,
        marks.mark_price as last_mark,
        marks.index_price as last_index,
        epoch_us(books.ts) - epoch_us(marks.ts) as mark_age_us,
        fundings.funding_rate as last_funding,
        fundings.interval_hours as last_interval,
        epoch_us(books.ts) - epoch_us(fundings.ts) as funding_age_us
    from books
    asof left join marks
        on
            books.exchange = marks.exchange
            and books.symbol = marks.symbol
            and books.ts >= marks.ts
    asof left join fundings
        on
            books.exchange = fundings.exchange
            and books.symbol = fundings.symbol
            and books.ts >= fundings.ts

),

fresh as (

    select
        *,
        if(mark_age_us <= {{ var('max_mark_age_s') }} * 1e6, last_mark, null) as mark_price,
        if(mark_age_us <= {{ var('max_mark_age_s') }} * 1e6, last_index, null) as index_price,
        if(funding_age_us <= {{ var('max_funding_age_s') }} * 1e6, last_funding, null)
            as funding_rate,
        if(funding_age_us <= {{ var('max_funding_age_s') }} * 1e6, last_interval, null)
            as funding_interval_hours
    from joined

),

basis as (

    select
        exchange,
        symbol,
        date,
        row_seq,
        ts_event,
        mark_price,
        index_price,
        mark_age_us,
        1e4 * (mark_price - mid) / nullif(mid, 0) as mark_mid_basis_bps,
        1e4 * (mark_price - index_price) / nullif(index_price, 0) as index_basis_bps,
        funding_rate,
        funding_interval_hours,
        funding_age_us,
        funding_rate * (8760 / nullif(funding_interval_hours, 0)) as funding_ann
    from fresh

)

select * from basis
