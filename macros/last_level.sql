{#
    The value of the numbered column that `count` says, null where it says 0.

        {{ last_level('bid_price_', 'bid_levels', levels) }}
#}
{% macro last_level(prefix, count, levels) -%}
    case {{ count }}
        {% for level in levels -%}
            when {{ level }} then {{ prefix }}{{ level }}
        {% endfor -%}
    end
{%- endmacro %}
