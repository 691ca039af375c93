{#
    The best levels of a book as columns, from its clean levels. A level that is not there is null.

        select {{ book_level_columns('bids', 'asks') }}
#}
{% macro book_level_columns(bids, asks) -%}
    {%- set columns = [] -%}
    {%- for name in book_level_names().split(', ') -%}
        {%- set side, field, level = name.split('_') -%}
        {%- do columns.append(
            'struct_extract(list_extract(' ~ (bids if side == 'bid' else asks) ~ ', ' ~ level ~ '), '
            ~ "'" ~ field ~ "') as " ~ name
        ) -%}
    {%- endfor -%}
    {{ columns | join(',\n') }}
{%- endmacro %}
