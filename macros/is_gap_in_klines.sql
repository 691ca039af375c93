{#
    Whether candles missing from one instant to another are a gap. Some exchanges leave out candles
    without a trade (`is_sparse` of `kline_spans`): of theirs, only a day or more without any is one.

        where {{ is_gap_in_klines('is_sparse', 'ts_from', 'ts_to') }}
#}
{% macro is_gap_in_klines(is_sparse, ts_from, ts_to) -%}
    (not {{ is_sparse }} or {{ seconds_between(ts_from, ts_to) }} >= 86400)
{%- endmacro %}
