{#
    The average price of taking `size` from a side, level by level; null where the levels we see do
    not hold that much. Ten levels of 0.1 hold 1, though their sum as floats is a little less. Each
    row adds up no more levels than it takes: most sizes are filled by the first few.
#}
{% macro sweep_price(side, size, levels) -%}
    case
        {% for level in levels -%}
            {%- set before = side ~ '_cum_depth_l' ~ (level - 1) if level > 1 else '0' -%}
            when {{ side }}_cum_depth_l{{ level }} >= {{ size }} * (1 - 1e-12)
                then
                    {% for full in range(1, level) -%}
                        {{ side }}_price_{{ full }} * {{ side }}_held_{{ full }} +
                    {% endfor -%}
                    {{ side }}_price_{{ level }}
                    * least({{ size }} - {{ before }}, {{ side }}_held_{{ level }})
        {% endfor -%}
    end / {{ size }}
{%- endmacro %}
