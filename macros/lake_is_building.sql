{# Whether SQL is being rendered to run over the files of a batch, not to be read or shown. #}
{% macro lake_is_building(relation) %}
    {%- if not execute or relation.is_cte or flags.WHICH not in ('build', 'run', 'test') -%}
        {{ return(false) }}
    {%- endif -%}
    {{ return(model.resource_type != 'test' or lake_reads_only_lake(model)) }}
{% endmacro %}
