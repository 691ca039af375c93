{#
    Returns the rows that lie before their predecessor in the file: `columns` is the order that the
    rows of each file must have as stored, null before any value.
#}
{% test is_time_ordered(model, columns) %}

{% if flags.WHICH not in ('build', 'test') -%}

{# A row has a position only while it is tested, not in `dbt show` or `dbt compile`. #}
select {{ columns | join(', ') }}
from {{ model }}
where false

{%- else -%}

with

stored as (

    select filename, file_row_number, {{ columns | join(', ') }}
    from {{ model }}

),

compared as (

    select
        *,
        {% for column in columns -%}
            lag({{ column }}) over rows_of_file as previous_{{ column }}{{ ', ' if not loop.last }}
        {% endfor %}
    from stored
    window rows_of_file as (partition by filename order by file_row_number)

)

select *
from compared
where
    file_row_number > 0
    and (
        {% for column in columns -%}
            {{ column }} is not null, {{ column }}{{ ', ' if not loop.last }}
        {% endfor %}
    ) < (
        {% for column in columns -%}
            previous_{{ column }} is not null, previous_{{ column }}{{ ', ' if not loop.last }}
        {% endfor %}
    )

{%- endif %}

{% endtest %}
