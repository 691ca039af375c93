{#
    Whether the numbers of a candle of `klines` agree with each other. Those of almost all candles do.
#}
{% macro is_consistent_kline() -%}
    (
        low <= least(open, close)
        and high >= greatest(open, close)
        and volume >= 0
        and coalesce(close_time > open_time, close_time is null)
        and coalesce(count >= 0, true)
        and coalesce(taker_buy_volume between 0 and volume, true)
        and coalesce(taker_buy_quote_volume between 0 and quote_volume, true)
    )
{%- endmacro %}
