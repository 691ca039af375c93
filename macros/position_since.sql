{#
    1, 2, 3, ... from each row on for which `is_first` holds. For rows that come in order and have
    `position`, that is, `row_number() over ()`: memory does not grow with their number. sqlfluff does
    not know a frame without an order, so the line needs `-- noqa: PRS`.
#}
{% macro position_since(is_first) -%}
    position + 1 - max(if({{ is_first }}, position, null)) over (
        rows between unbounded preceding and current row
    )
{%- endmacro %}
