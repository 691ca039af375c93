{#
    Whether a row differs from the one before it in some columns, none of them null. For rows that
    come in order, as from a CTE with `order by`: nothing is sorted.
#}
{% macro is_first_of() -%}
    coalesce(
        {%- for column in varargs %}
        {{ column }} <> lag({{ column }}) over (){{ ' or' if not loop.last else ',' }}
        {%- endfor %}
        true
    )
{%- endmacro %}
