{#
    Returns the combinations of `columns` that more than one row has; two nulls are the same value.

    A narrow hash first finds the few rows worth comparing, so that memory stays bounded.
#}
{% test is_unique_on(model, columns) %}

with

repeated as (

    select hash({{ columns | join(', ') }}) as key_hash
    from {{ model }}
    group by key_hash
    having count(*) > 1

),

suspects as (

    select {{ columns | join(', ') }}
    from {{ model }}
    where hash({{ columns | join(', ') }}) in (select repeated.key_hash from repeated)

)

select
    {{ columns | join(', ') }},
    count(*) as row_count
from suspects
group by {{ columns | join(', ') }}
having count(*) > 1

{% endtest %}
