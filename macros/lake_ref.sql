{#
    `ref` for lake models: `from {{ lake_ref('trades') }}`.

    While a model is built it reads exactly the files that the batch depends on; in a singular test
    those the test has not passed on yet, with `filename` and `file_row_number`. Everywhere else
    (`dbt show`, `dbt compile`, unit tests) it is the plain relation.
#}
{% macro lake_ref(name) %}
    {%- set relation = ref(name) -%}
    {%- if not lake_is_building(relation) -%}
        {{ relation }}
    {%- else -%}
        {%- set node = graph.nodes.values() | selectattr('name', 'equalto', name)
            | selectattr('resource_type', 'in', ['model', 'seed']) | first -%}
        {%- if node.resource_type == 'seed' -%}
            {#- Without the database: its name differs between targets, and the code must not. -#}
            {{ relation.include(database=false) }}
        {%- else -%}
            {{ lake_files(node, with_position=model.resource_type == 'test') }}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
