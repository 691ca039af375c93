{#
    The var `bar_seconds` as an SQL list. A length that does not divide a day is refused: its bars
    would reach over midnight, and a partition holds whole bars of its own day.

        select unnest({{ bar_lengths() }}) as bar_seconds
#}
{% macro bar_lengths() -%}
    {%- for seconds in var('bar_seconds') if seconds is not integer or seconds < 1 or 86400 % seconds -%}
        {%- do exceptions.raise_compiler_error(
            'var bar_seconds: ' ~ seconds ~ ' seconds do not divide a day. Take a whole number of '
            ~ 'seconds that does, for example 60, 300, 900 or 3600.'
        ) -%}
    {%- endfor -%}
    {{ var('bar_seconds') | unique | sort }}
{%- endmacro %}
