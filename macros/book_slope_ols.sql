{#
    The slope of a least-squares line, with intercept, of cumulative depth on distance from the mid,
    through the first min(5, levels) levels. Null for fewer than two. Depth is counted from the first
    level on, which changes no slope: what small levels add to a large one is not rounded away. Takes
    `off`, distances less their mean, and `behind`, depth without the first level.
#}
{% macro book_slope_ols(side, levels) -%}
    (
        {% for level in levels if level > 1 -%}
            {%- set product = side ~ '_off_' ~ level ~ ' * ' ~ side ~ '_behind_' ~ level -%}
            {{ product if level == 2 else 'coalesce(' ~ product ~ ', 0)' }}
            {{- ' + ' if not loop.last }}
        {% endfor -%}
    ) / (
        {% for level in levels -%}
            {%- set square = side ~ '_off_' ~ level ~ ' * ' ~ side ~ '_off_' ~ level -%}
            {{ square if level <= 2 else 'coalesce(' ~ square ~ ', 0)' }}
            {{- ' + ' if not loop.last }}
        {% endfor -%}
    )
{%- endmacro %}
