{#
    Whether SQL is being rendered to run over the files of a batch, not to be read or shown: a view
    reads relations, also while it is made.
#}
{% macro lake_is_building(relation) %}
    {%- if not execute or relation.is_cte or flags.WHICH not in ('build', 'run', 'test') -%}
        {{ return(false) }}
    {%- elif model.resource_type == 'test' -%}
        {{ return(lake_reads_only_lake(model)) }}
    {%- endif -%}
    {{ return(model.config.materialized == 'lake') }}
{% endmacro %}
