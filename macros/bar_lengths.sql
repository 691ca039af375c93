{#
    The var `bar_seconds` as an SQL list. A length that does not divide a day is refused: its bars
    would reach over midnight, and a partition holds whole bars of its own day.

        select unnest({{ bar_lengths() }}) as bar_seconds
#}
{% macro bar_lengths() -%}
    {%- do distinct_numbers('bar_seconds', is_whole=true) -%}
    {%- for seconds in var('bar_seconds') if 86400 % seconds -%}
        {%- do refuse_var(
            'bar_seconds',
            'a list of whole numbers of seconds that divide a day, for example 60, 300, 900 or 3600'
        ) -%}
    {%- endfor -%}
    {{ var('bar_seconds') | sort }}
{%- endmacro %}
