{#
    The longest step that every length of the var `bar_seconds` is a whole number of, in microseconds
    and as a bigint: an hour of them is too much for the type that DuckDB gives a plain number.
#}
{% macro bar_step() -%}
    {%- set found = [] -%}
    {%- for step in range(var('bar_seconds') | min, 0, -1) if not found -%}
        {%- set rests = [] -%}
        {%- for seconds in var('bar_seconds') if seconds % step -%}
            {%- do rests.append(seconds) -%}
        {%- endfor -%}
        {%- if not rests -%}{%- do found.append(step) -%}{%- endif -%}
    {%- endfor -%}
    cast({{ found | first }}000000 as bigint)
{%- endmacro %}
