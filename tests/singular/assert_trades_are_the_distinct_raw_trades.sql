{#
    Trades = trades known by fills + prints that no fill tells of, each id once and all of those without
    an id, for each exchange, symbol and day: nothing lost, nothing doubled.
#}
{{ config(meta={'by_unit': true}) }}

with

fill_trades as (

    select exchange, symbol, date, ts_event, trade_id
    from {{ lake_ref('fill_trades') }}

),

prints as (

    select exchange, symbol, date, hash(trade_id) as id_hash, trade_id is null as is_without_id
    from {{ lake_source('raw', 'trades') }}
    anti join fill_trades using (exchange, symbol, date, ts_event, trade_id)

),

distinct_prints as (

    select distinct exchange, symbol, date, id_hash
    from prints
    where not is_without_id

),

counted as (

    select exchange, symbol, date, count(*) as expected_count, 0 as trade_count
    from distinct_prints
    group by exchange, symbol, date
    union all
    select exchange, symbol, date, count(*) as expected_count, 0 as trade_count
    from prints
    where is_without_id
    group by exchange, symbol, date
    union all
    select exchange, symbol, date, count(*) as expected_count, 0 as trade_count
    from fill_trades
    group by exchange, symbol, date
    union all
    select exchange, symbol, date, 0 as expected_count, count(*) as trade_count
    from {{ lake_ref('trades') }}
    group by exchange, symbol, date

)

select
    exchange,
    symbol,
    date,
    sum(expected_count) as expected_count,
    sum(trade_count) as trade_count
from counted
group by exchange, symbol, date
having sum(expected_count) <> sum(trade_count)
