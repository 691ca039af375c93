{#
    What state a book is in, from its clean levels, best first: `empty`, `one_sided`, `crossed`,
    `locked` or `ok`.

        {{ book_state('bids', 'asks') }} as book_state
#}
{% macro book_state(bids, asks) -%}
    {%- set bid = 'struct_extract(list_extract(' ~ bids ~ ", 1), 'price')" -%}
    {%- set ask = 'struct_extract(list_extract(' ~ asks ~ ", 1), 'price')" -%}
    coalesce({{ quote_state(bid, ask) }}, 'empty')
{%- endmacro %}
