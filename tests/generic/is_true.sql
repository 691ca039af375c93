{# Returns the rows for which `expression` is not true; null is not true. #}
{% test is_true(model, expression) %}

select *
from {{ model }}
where ({{ expression }}) is not true

{% endtest %}
