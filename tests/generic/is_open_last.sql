{# Returns the groups of `within` that have an open row (`is_complete` false) before their last. #}
{% test is_open_last(model, order, within) %}

select {{ within | join(', ') }}
from {{ model }}
group by {{ within | join(', ') }}
having min(if(is_complete, null, {{ order }})) < max({{ order }})

{% endtest %}
