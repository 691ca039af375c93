{#
    Length of a row of klines in seconds: by its interval, else by its times, as of a month; null where
    neither says it. A candle is written to end one tick of the exchange's clock early, 1 ms or 1 us.
#}
{% macro kline_seconds() -%}
    coalesce(
        {{ interval_seconds('interval') }},
        cast(round({{ seconds_between('open_time', 'close_time') }}) as bigint)
    )
{%- endmacro %}
