{#
    The size on a side whose price is at most `bps` basis points from the mid, the border included.
    Null where the band reaches past the last level we see: a part of it would look like thin
    liquidity.
#}
{% macro depth_within(side, bps, levels) -%}
    if(
        {{ side }}_reach / mid >= {{ bps }} * 1e-4,
        {% for level in levels -%}
            if({{ side }}_distance_{{ level }} / mid <= {{ bps }} * 1e-4, {{ side }}_size_{{ level }}, 0)
            {{- ' + ' if not loop.last }}
        {% endfor -%},
        null
    )
{%- endmacro %}
