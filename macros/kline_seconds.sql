{#
    Length of a row of klines in seconds: by its interval, else by its times, as of a month; null if
    neither gives a length above 0. Exchanges write an end that is one tick of their clock early, 1 ms
    or 1 us.
#}
{% macro kline_seconds() -%}
    coalesce(
        {{ interval_seconds('interval') }},
        nullif(
            greatest(cast(round({{ seconds_between('open_time', 'close_time') }}) as bigint), 0), 0
        )
    )
{%- endmacro %}
