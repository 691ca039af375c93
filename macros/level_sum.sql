{#
    The sum of the first `count` of numbered columns, in that order, or of those from `first` on.

        {{ level_sum('bid_held_', 3) }}    (bid_held_1 + bid_held_2 + bid_held_3)
#}
{% macro level_sum(prefix, count, first=1) -%}
    ({% for level in range(first, count + 1) %}{{ prefix }}{{ level }}{{ ' + ' if not loop.last }}{% endfor %})
{%- endmacro %}
