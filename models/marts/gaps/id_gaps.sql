{# One row per hole in the ids of a symbol's trades, within a day. #}
{{ config(
    materialized='lake',
    partition_by=['exchange', 'date'],
    order_by=['symbol', 'gap_seq'],
    time_column=none,
) }}

with

consecutive as (

    select
        exchange,
        symbol,
        date,
        first_id as lowest_id,
        last_id as highest_id
    from {{ lake_ref('id_spans') }}
    where is_consecutive

),

ids as (

    select
        exchange,
        symbol,
        date,
        ts_event,
        coalesce(first_id, try_cast(trade_id as bigint)) as id_from,
        coalesce(last_id, id_from) as id_to
    from {{ lake_ref('trades') }}
    inner join consecutive using (exchange, symbol, date)
    where id_from >= lowest_id and id_to <= highest_id

),

compared as (

    select
        *,
        row_number() over () as position,
        {{ is_first_of('exchange', 'symbol', 'date') }}
        or id_from <> lag(id_to) over () + 1 as is_first_of_run
    from ids

),

numbered as (

    select *, position - {{ position_since('is_first_of_run') }} as run  -- noqa: PRS
    from compared

),

{# Almost all trades are in a few long runs. Trades that come out of order make more of them. #}
runs as (

    select
        exchange,
        symbol,
        date,
        run,
        min(struct_pack(id := id_from, ts := ts_event)) as first_row,
        max(struct_pack(id := id_to, ts := ts_event)) as last_row
    from numbered
    group by exchange, symbol, date, run

),

followed as (

    select
        exchange,
        date,
        symbol,
        first_row,
        max(last_row) over (
            partition by exchange, symbol, date
            order by first_row, last_row
            rows between unbounded preceding and 1 preceding
        ) as row_before
    from runs

),

id_gaps as (

    select
        exchange,
        date,
        symbol,
        row_number() over (partition by exchange, date, symbol order by first_row) as gap_seq,
        row_before.ts as ts_from,
        first_row.ts as ts_to,
        first_row.id - row_before.id - 1 as missing_count
    from followed
    where first_row.id > row_before.id + 1

)

select * from id_gaps
