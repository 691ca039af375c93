{# One row per reset of a symbol's order book: rows were missed since the one before. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'gap_seq'],
    time_column=none,
) }}

with

order_book as (

    select exchange, symbol, date, row_seq, ts_event, is_reset
    from {{ lake_ref('order_book') }}

),

resets as (

    select exchange, symbol, date, row_seq, ts_event as ts_to
    from order_book
    where is_reset

),

before_resets as (

    select exchange, symbol, date, row_seq + 1 as row_seq, ts_event as ts_from
    from order_book
    where
        (exchange, symbol, date, row_seq + 1) in (
            select (resets.exchange, resets.symbol, resets.date, resets.row_seq) from resets
        )

),

book_resets as (

    select
        exchange,
        date,
        symbol,
        row_number() over (partition by exchange, date, symbol order by row_seq) as gap_seq,
        ts_from,
        ts_to
    from resets
    left join before_resets using (exchange, symbol, date, row_seq)

)

select * from book_resets
