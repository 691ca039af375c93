{#
    Price times size of two decimal(38, 12), exactly, as decimal(38, 24): all 24 decimals that the
    product can have, and 14 digits before the point. More is an error, never rounded.

        sum({{ exact_notional('price', 'size') }}) as notional
#}
{% macro exact_notional(price, size) -%}
    cast({{ price }} * {{ size }} as decimal(38, 24))
{%- endmacro %}
