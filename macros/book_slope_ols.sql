{#
    The slope of a least-squares line, with intercept, of cumulative depth on distance from the mid,
    through the first min(5, levels) levels. Null for fewer than two. Depth is counted from the first
    level on, which changes no slope: what small levels add to a large one is not rounded away.
#}
{% macro book_slope_ols(side, levels) -%}
    case least({{ side }}_levels, {{ levels | last }})
        {% for count in levels if count > 1 -%}
            {%- set mean -%}
                {{ level_sum(side ~ '_distance_', count) }} / {{ count }}
            {%- endset %}
            when {{ count }}
                then (
                    {% for level in range(2, count + 1) -%}
                        ({{ side }}_distance_{{ level }} - {{ mean }})
                        * {{ level_sum(side ~ '_held_', level, 2) }}
                        {{- ' + ' if not loop.last }}
                    {% endfor -%}
                ) / (
                    {% for level in range(1, count + 1) -%}
                        pow({{ side }}_distance_{{ level }} - {{ mean }}, 2)
                        {{- ' + ' if not loop.last }}
                    {% endfor -%}
                )
        {% endfor -%}
    end
{%- endmacro %}
