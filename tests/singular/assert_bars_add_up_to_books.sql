{#
    Rows, flows, squared returns and extremes of the mid of the bars of every length = those of the book's
    rows, for each exchange, symbol and day; sums of floats up to what they may be rounded by.
#}
{{ config(meta={'by_unit': true}) }}

with

bar_lengths as (

    select unnest({{ bar_lengths() }}) as bar_seconds

),

book_rows as (

    select
        book_features.exchange,
        book_features.date,
        book_features.symbol,
        count(*) as row_count,
        max(book_features.mid) as high,
        min(book_features.mid) as low,
        coalesce(sum(order_flow.ofi), 0) as ofi,
        coalesce(sum(order_flow.mlofi_decay), 0) as mlofi_decay,
        coalesce(sum(order_flow.log_return ** 2), 0) as variance,
        coalesce(sum(abs(order_flow.ofi)), 0) as ofi_scale,
        coalesce(sum(abs(order_flow.mlofi_decay)), 0) as mlofi_scale,
        bool_or(order_flow.is_gap) as is_gap
    from {{ lake_ref('book_features') }} as book_features
    inner join {{ lake_ref('order_flow') }} as order_flow
        using (exchange, symbol, date, row_seq)
    group by book_features.exchange, book_features.date, book_features.symbol

),

expected as (

    select *
    from book_rows
    cross join bar_lengths

),

bars as (

    select
        exchange,
        date,
        symbol,
        bar_seconds,
        sum(book_row_count) as row_count,
        max(mid_high) as high,
        min(mid_low) as low,
        coalesce(sum(ofi_sum), 0) as ofi,
        coalesce(sum(mlofi_decay_sum), 0) as mlofi_decay,
        coalesce(sum(realized_var), 0) as variance,
        bool_or(is_gap) as is_gap
    from {{ lake_ref('time_bars') }}
    where book_row_count > 0
    group by exchange, date, symbol, bar_seconds

)

select exchange, date, symbol, bar_seconds
from expected
full join bars using (exchange, date, symbol, bar_seconds)
where
    expected.row_count is distinct from bars.row_count
    or expected.high is distinct from bars.high
    or expected.low is distinct from bars.low
    or expected.is_gap is distinct from bars.is_gap
    or abs(expected.ofi - bars.ofi) > 1e-9 * expected.ofi_scale
    or abs(expected.mlofi_decay - bars.mlofi_decay) > 1e-9 * expected.mlofi_scale
    or abs(expected.variance - bars.variance) > 1e-9 * expected.variance
