{# SQL that asks `ticklake.lake.materialization` a question: see `lake_call`. #}
{% macro lake_call_sql(function, arguments={}) -%}
    {%- do arguments.update({'invocation': invocation_id, 'root': adapter.external_root()}) -%}
    {{- return(
        "lake_call('" ~ function ~ "', '" ~ adapter.escape_sql_string(tojson(arguments)) ~ "')"
    ) -}}
{%- endmacro %}
