{#
    The columns of the levels of a book, as many as the var `book_levels` says: `bid_price_1`,
    `bid_size_1`, `bid_price_2`, ..., then those of the asks.
#}
{% macro book_level_names() -%}
    {%- do whole_var('book_levels', 1) -%}
    {%- set names = [] -%}
    {%- for side in ['bid', 'ask'] -%}
        {%- for level in range(1, var('book_levels') + 1) -%}
            {%- do names.extend([side ~ '_price_' ~ level, side ~ '_size_' ~ level]) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ names | join(', ') }}
{%- endmacro %}
