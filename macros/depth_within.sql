{#
    The size on a side whose price is at most `bps` basis points from the mid, the border included.
    Null where the band reaches past the last level we see: a part of it would look like thin
    liquidity. A share of the mid as doubles have it is off by less than 4e-16, and no two prices of a
    book are that near, so 1e-15 puts on the border what is there in decimals: 0.999 is 10 bps off 1.
#}
{% macro depth_within(side, bps, levels) -%}
    if(
        {{ side }}_reach / mid >= {{ bps }} * 1e-4 - 1e-15,
        {% for level in levels -%}
            if({{ side }}_distance_{{ level }} / mid <= {{ bps }} * 1e-4 + 1e-15, {{ side }}_size_{{ level }}, 0)
            {{- ' + ' if not loop.last }}
        {% endfor -%},
        null
    )
{%- endmacro %}
