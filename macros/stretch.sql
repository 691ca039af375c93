{#
    Start, in microseconds, of the stretch of `gap_seconds` that an instant lies in: two instants of one
    stretch are less than `gap_seconds` apart.
#}
{% macro stretch(instant) -%}
    {%- set length = var('gap_seconds') * 1000000 -%}
    epoch_us({{ instant }}) - epoch_us({{ instant }}) % {{ length }}
{%- endmacro %}
