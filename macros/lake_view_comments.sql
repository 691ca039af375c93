{# The comments on all views, by `schema.name`. #}
{% macro lake_view_comments() %}
    {%- set comments = {} -%}
    {%- for schema, name, comment in adapter.execute(
        'select schema_name, view_name, comment from duckdb_views() '
        ~ 'where not internal and database_name = current_database()',
        fetch=true
    )[1].rows -%}
        {%- do comments.update({schema ~ '.' ~ name: comment}) -%}
    {%- endfor -%}
    {{ return(comments) }}
{% endmacro %}
