{#
    Seconds of an interval as exchanges spell it (1s, 5m, 4h, 1d, 1w); null for any other, such as the
    months of 1M, a length of 0, or a number of more than six digits.
#}
{% macro interval_seconds(interval) -%}
    nullif(try_cast(regexp_extract({{ interval }}, '^([0-9]{1,6})[smhdw]$', 1) as bigint), 0)
    * case right({{ interval }}, 1)
        when 's' then 1
        when 'm' then 60
        when 'h' then 3600
        when 'd' then 86400
        when 'w' then 604800
    end
{%- endmacro %}
