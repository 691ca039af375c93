{#
    Valid levels of one side of a book with the best price first and each price once: the sizes of
    equal prices are added, in the order they came. Almost every list is in order as it comes, which
    one pass tells; only the others are taken apart. (An arrow, because sqlfluff knows no `lambda` with
    two parameters.)

        {{ ordered_levels('bids', 'desc') }} as bids
#}
{% macro ordered_levels(levels, direction) -%}
    {%- set prices = 'list_transform(' ~ levels ~ ', lambda level: level.price)' -%}
    {#- Worse than any price: once out of order, a list stays so to its end. -#}
    {%- set start, stop, is_worse = ("'infinity'", '0', '>') if direction == 'desc'
        else ('0', "'infinity'", '<') -%}
    case
        when
            list_reduce(
                {{ prices }},
                (best, price) -> if(best {{ is_worse }} price, price, cast({{ stop }} as double)),
                cast({{ start }} as double)
            ) <> {{ stop }}
            then {{ levels }}
        else
            list_transform(
                list_sort(list_distinct({{ prices }}), '{{ direction }}'),
                lambda price: struct_pack(
                    price := price,
                    size := list_sum(
                        list_transform(
                            list_filter({{ levels }}, lambda level: level.price = price),
                            lambda level: level.size
                        )
                    )
                )
            )
    end
{%- endmacro %}
