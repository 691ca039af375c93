{#
    Whether the day of a row is over, told by the data: the lake holds a later date of the input that
    `closed_by` names in the model's config (`*`: any). `exchange` is an SQL expression.
#}
{% macro lake_is_closed(exchange) -%}
    coalesce(list_contains(getvariable('closed_units'), 'exchange=' || {{ exchange }}), false)
{%- endmacro %}
