{#
    Depth over distance: the size of the first k levels by how far the k-th lies from the mid, with
    k = min(5, levels). Null where that is no distance at all.
#}
{% macro book_slope(side, levels) -%}
    case least({{ side }}_levels, {{ levels | last }})
        {% for level in levels -%}
            when {{ level }} then {{ side }}_cum_depth_l{{ level }} / nullif({{ side }}_distance_{{ level }}, 0)
        {% endfor -%}
    end
{%- endmacro %}
