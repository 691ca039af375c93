{#
    The sum of the first `count` of numbered columns, in that order.

        {{ level_sum('bid_held_', 3) }}    (bid_held_1 + bid_held_2 + bid_held_3)
#}
{% macro level_sum(prefix, count) -%}
    ({% for level in range(1, count + 1) %}{{ prefix }}{{ level }}{{ ' + ' if not loop.last }}{% endfor %})
{%- endmacro %}
