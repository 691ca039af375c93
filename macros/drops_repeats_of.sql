{#
    Whether the var `drop_repeats_of` names an exchange, or all of them with `*`: of its equal trades
    without an id that several segments have, only those of one segment are kept.
#}
{% macro drops_repeats_of(exchange) -%}
    {%- set named = var('drop_repeats_of') -%}
    {%- if '*' in named -%}
        true
    {%- elif named -%}
        {{ exchange }} in (
        {%- for name in named %}'{{ adapter.escape_sql_string(name) }}'{{ ', ' if not loop.last }}{% endfor -%}
        )
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
