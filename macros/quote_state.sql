{#
    What state a best bid and ask are in, as `book_state` says it of a book; null where neither is
    there, because then there was no quote at all.

        {{ quote_state('bid_price', 'ask_price') }} as state
#}
{% macro quote_state(bid, ask) -%}
    case
        when {{ bid }} is null and {{ ask }} is null then null
        when {{ bid }} is null or {{ ask }} is null then 'one_sided'
        when {{ bid }} > {{ ask }} then 'crossed'
        when {{ bid }} = {{ ask }} then 'locked'
        else 'ok'
    end
{%- endmacro %}
