{#
    The levels of one side of a book whose price and size are there, finite and above 0. Null counts
    as no levels.

        {{ valid_levels('bids') }} as bids
#}
{% macro valid_levels(levels) -%}
    coalesce(
        list_filter(
            {{ levels }},
            lambda level: level.price > 0 and isfinite(level.price)
            and level.size > 0 and isfinite(level.size)
        ),
        []
    )
{%- endmacro %}
