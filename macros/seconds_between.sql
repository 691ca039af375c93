{# Seconds from one timestamp to another, to the microsecond; null where one is. #}
{% macro seconds_between(start, stop) -%}
    (epoch_us({{ stop }}) - epoch_us({{ start }})) / 1000000
{%- endmacro %}
