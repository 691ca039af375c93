{#
    Start, in microseconds, of the bucket of `gap_seconds` that an instant is in. Two instants of one
    bucket are less than `gap_seconds` apart.
#}
{% macro gap_bucket(instant) -%}
    {%- set length = var('gap_seconds') * 1000000 -%}
    epoch_us({{ instant }}) - epoch_us({{ instant }}) % {{ length }}
{%- endmacro %}
