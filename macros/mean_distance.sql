{# The mean distance from the mid of the first min(5, levels) levels. Null for fewer than two. #}
{% macro mean_distance(side, levels) -%}
    (
        {% for level in levels -%}
            {%- set distance = side ~ '_distance_' ~ level -%}
            {{ distance if level <= 2 else 'coalesce(' ~ distance ~ ', 0)' }}
            {{- ' + ' if not loop.last }}
        {% endfor -%}
    ) / least({{ side }}_levels, {{ levels | last }})
{%- endmacro %}
