{#
    The average price of taking `size` from a side, level by level; null where the levels we see do
    not hold that much. Ten levels of 0.1 hold 1, though their sum as floats is a little less.
#}
{% macro sweep_price(side, size, levels) -%}
    if(
        {{ side }}_cum_depth_l{{ levels | last }} >= {{ size }} * (1 - 1e-12),
        (
            {% for level in levels -%}
                {%- set before = side ~ '_cum_depth_l' ~ (level - 1) if level > 1 else '0' -%}
                coalesce({{ side }}_price_{{ level }}, 0)
                * greatest(least({{ size }} - {{ before }}, {{ side }}_held_{{ level }}), 0)
                {{- ' + ' if not loop.last }}
            {% endfor -%}
        ) / {{ size }},
        null
    )
{%- endmacro %}
