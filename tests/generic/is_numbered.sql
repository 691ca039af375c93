{#
    Returns the groups of `within` in which `column` is not 1, 2, 3, ... without a hole.

    Of a column whose combination with `within` is unique, so that ends and count tell.
#}
{% test is_numbered(model, column, within) %}

select {{ within | join(', ') }}
from {{ model }}
group by {{ within | join(', ') }}
having min({{ column }}) <> 1 or max({{ column }}) <> count(*)

{% endtest %}
