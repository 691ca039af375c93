{#
    A decimal string as decimal(38, 12), exactly: a value that needs more than 12 decimals is an
    error that names it, never rounded.

    DuckDB casts a string to decimal(38, 12) in 4 us and to decimal(18, 8) in 0.03 us, so short
    values (at most 10 characters before the point and 8 after it) go through the latter. What is
    not short must be digits around a point to get through; zeros beyond the 12th decimal are fine.
    The short cast is a try: DuckDB may run it for values that the second branch is for.

        {{ exact_decimal('px') }} as price
#}
{% macro exact_decimal(value) -%}
    case
        when
            strpos({{ value }}, '.') between 2 and 11
            and length({{ value }}) - strpos({{ value }}, '.') <= 8
            and not contains({{ value }}, 'e')
            and not contains({{ value }}, 'E')
            and try_cast({{ value }} as decimal(18, 8)) is not null
            then cast(try_cast({{ value }} as decimal(18, 8)) as decimal(38, 12))
        when {{ value }} is null or regexp_full_match({{ value }}, '-?[0-9]+([.][0-9]{0,12}0*)?')
            then cast({{ value }} as decimal(38, 12))
        {#- A cast that fails, because error() is volatile: DuckDB would neither skip nor try it. #}
        else
            cast('a plain decimal with at most 12 decimals? ' || {{ value }} as decimal(38, 12))
    end
{%- endmacro %}
