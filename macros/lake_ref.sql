{#
    `ref` for lake models: `from {{ lake_ref('trades') }}`.

    While a model is built it reads exactly the files that the batch depends on; in a singular test
    those the test has not passed on yet, with `filename` and `file_row_number`. Of a view that reads
    its tables with `lake_ref` it is the SQL of the view over such files. Everywhere else (`dbt show`,
    `dbt compile`, unit tests, views) it is the plain relation.
#}
{% macro lake_ref(name) %}
    {#- Unit tests have no graph: all they read is given. -#}
    {%- set node = graph.get('nodes', {}).values() | selectattr('name', 'equalto', name)
        | selectattr('resource_type', 'in', ['model', 'seed']) | first if execute -%}
    {%- if node and model.resource_type == 'operation' -%}
        {#- `lake_views` makes a view before the run: a hook depends on nothing. -#}
        {{ node.schema }}.{{ node.alias }}
    {%- elif node and lake_is_behind_view(model, node) -%}
        {#- The SQL of a view is being rendered. The reader itself has no ref to what the view reads. -#}
        {{ lake_files(node) }}
    {%- else -%}
        {%- set relation = ref(name) -%}
        {%- if not lake_is_building(relation) -%}
            {{ relation }}
        {%- elif node.resource_type == 'seed' -%}
            {#- Without the database: its name differs between targets, and the code must not. -#}
            {{ relation.include(database=false) }}
        {%- elif lake_is_view(node) -%}
            {{ lake_view_files(node) }}
        {%- else -%}
            {{ lake_files(node, with_position=model.resource_type == 'test') }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
