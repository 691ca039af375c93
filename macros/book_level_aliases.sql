{#
    The levels of a book under the names of features: `bid_price_1 as bid_px_l1`, and so on.
#}
{% macro book_level_aliases() -%}
    {%- do whole_var('book_levels', 1) -%}
    {%- set columns = [] -%}
    {%- for side in ('bid', 'ask') -%}
        {%- for level in range(1, var('book_levels') + 1) -%}
            {%- do columns.append(side ~ '_price_' ~ level ~ ' as ' ~ side ~ '_px_l' ~ level) -%}
            {%- do columns.append(side ~ '_size_' ~ level ~ ' as ' ~ side ~ '_size_l' ~ level) -%}
        {%- endfor -%}
    {%- endfor -%}
    {{ columns | join(', ') }}
{%- endmacro %}
