{# Whether SQL is being rendered to run over the files of a batch, not to be read or shown. #}
{% macro lake_is_building(relation) %}
    {{ return(execute and not relation.is_cte and flags.WHICH in ('build', 'run', 'test')) }}
{% endmacro %}
