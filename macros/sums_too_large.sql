{#
    SQL of the exchanges, days and symbols whose trades or fills add up to more than the columns of sums
    hold: a notional of 10^14, or sizes of 10^25. `name` is a lake table with `price` and `size`. They
    are left out of what adds up, so that no other symbol is stopped, and a test names them. The bound
    is made of whole numbers, which never overflow; `ticklake.bar_models` has the same.

        too_large as ({{ sums_too_large('trades') }})
#}
{% macro sums_too_large(name) -%}
    select exchange, date, symbol
    from {{ lake_ref(name) }}
    where price > 0 and size > 0
    group by exchange, date, symbol
    having
        sum(cast(cast(price as double) * cast(size as double) as bigint)) + count(*) >= 100000000000000
        or cast(max(size) as double) * count(*) >= 1e25
{%- endmacro %}
