{#
    What a generic test reads of the model or source it is given. Of a lake table that is only what
    the test has not passed on yet (see materializations/test.sql); rows of a lake model come with
    their position: `filename` and `file_row_number`.
#}
{% macro duckdb__get_where_subquery(relation) %}
    {%- set node = (
        graph.nodes.values() | selectattr('resource_type', 'equalto', 'model')
        | selectattr('schema', 'equalto', relation.schema)
        | selectattr('alias', 'equalto', relation.identifier) | first
        or graph.sources.values() | selectattr('schema', 'equalto', relation.schema)
        | selectattr('identifier', 'equalto', relation.identifier) | first
    ) if execute -%}
    {%- if not node or not lake_is_building(relation) -%}
        {{ return(default__get_where_subquery(relation)) }}
    {%- endif -%}
    {%- set where = config.get('where') -%}
    {%- set rows = lake_view_files(node) if lake_is_view(node) else lake_files(node, with_position=true) -%}
    {{ return(
        '(select * from ' ~ rows
        ~ (' where ' ~ where if where else '') ~ ') as tested'
    ) }}
{% endmacro %}
