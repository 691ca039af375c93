{#
    Whether the values of a row of a compacted table are as usual. Others are what a source said: quotes
    of spreads below 0, a mark price of 0 before the first trade, a funding rate of 100 % or more (or
    given in percent), a print without a price or a size. Books have no such values: levels are clean.
#}
{% macro is_usual_value(table) -%}
    {%- if table == 'tickers' -%}
        (
            coalesce(bid_price >= 0, true) and coalesce(ask_price >= 0, true)
            and coalesce(bid_size >= 0, true) and coalesce(ask_size >= 0, true)
        )
    {%- elif table == 'mark_prices' -%}
        (coalesce(mark_price > 0, true) and coalesce(index_price >= 0, true))
    {%- elif table == 'funding_rates' -%}
        (coalesce(abs(funding_rate) < 1, true) and coalesce(interval_hours > 0, true))
    {%- elif table == 'trades' -%}
        (price > 0 and size > 0)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}
