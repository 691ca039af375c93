{#
    sum(size of the fills of two-legged trades) / 2 = sum(size of those trades), to the last digit,
    for each exchange, symbol and day; a trade with one leg has the size of that leg. Trades whose legs
    differ in size are left out: `assert_legs_of_a_trade_agree` names them.
#}
{{ config(meta={'by_unit': true}) }}

with

executions as (

    select
        exchange,
        date,
        symbol,
        ts_event,
        block_number,
        tid,
        count(*) as leg_count,
        sum(size) as size
    from {{ lake_ref('fills') }}
    where tid <> 0
    group by exchange, date, symbol, ts_event, block_number, tid
    having min(size) = max(size)

),

fill_sizes as (

    select
        exchange,
        date,
        symbol,
        sum(if(leg_count = 2, size, 0)) as paired_size,
        sum(if(leg_count = 1, size, 0)) as single_size
    from executions
    group by exchange, date, symbol

),

agreed_trades as (

    select fill_trades.*
    from {{ lake_ref('fill_trades') }} as fill_trades
    semi join executions
        on
            fill_trades.exchange = executions.exchange
            and fill_trades.date = executions.date
            and fill_trades.symbol = executions.symbol
            and fill_trades.ts_event = executions.ts_event
            and fill_trades.block_number is not distinct from executions.block_number
            and fill_trades.trade_id = cast(executions.tid as varchar)

),

trade_sizes as (

    select
        exchange,
        date,
        symbol,
        sum(if(leg_count = 2, size, 0)) as paired_size,
        sum(if(leg_count = 1, size, 0)) as single_size
    from agreed_trades
    group by exchange, date, symbol

)

select
    *,
    fill_sizes.paired_size as paired_fill_size,
    trade_sizes.paired_size as paired_trade_size
from fill_sizes
full join trade_sizes using (exchange, date, symbol)
where
    fill_sizes.paired_size is distinct from 2 * trade_sizes.paired_size
    or fill_sizes.single_size is distinct from trade_sizes.single_size
