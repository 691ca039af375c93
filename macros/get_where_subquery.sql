{#
    What a generic test reads of the model it is given. Of a lake model that is only what the test
    has not passed on yet (see materializations/test.sql), with the position of each row:
    `filename` and `file_row_number`.
#}
{% macro duckdb__get_where_subquery(relation) %}
    {%- set node = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | selectattr('schema', 'equalto', relation.schema)
        | selectattr('alias', 'equalto', relation.identifier) | first if execute -%}
    {%- if not node or node.config.materialized != 'lake' or not lake_is_building(relation) -%}
        {{ return(default__get_where_subquery(relation)) }}
    {%- endif -%}
    {%- set where = config.get('where') -%}
    {{ return(
        '(select * from ' ~ lake_files(node, with_position=true)
        ~ (' where ' ~ where if where else '') ~ ') as tested'
    ) }}
{% endmacro %}
