{# The longest step, in seconds, that every length of the var `bar_seconds` is a whole number of. #}
{% macro bar_step() -%}
    {%- set found = [] -%}
    {%- for step in range(var('bar_seconds') | min, 0, -1) if not found -%}
        {%- set rests = [] -%}
        {%- for seconds in var('bar_seconds') if seconds % step -%}
            {%- do rests.append(seconds) -%}
        {%- endfor -%}
        {%- if not rests -%}{%- do found.append(step) -%}{%- endif -%}
    {%- endfor -%}
    {{ found | first }}
{%- endmacro %}
