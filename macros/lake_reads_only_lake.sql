{#
    Whether a test reads lake tables and nothing else, or views that can be read like tables, so that it
    can read just what it has not passed on.
#}
{% macro lake_reads_only_lake(test) %}
    {%- if lake_tables_behind(test) is none -%}{{ return(false) }}{%- endif -%}
    {%- for name in test.depends_on.nodes -%}
        {%- set node = graph.nodes.get(name) -%}
        {%- if node and node.config.materialized == 'view' and not lake_is_view(node) -%}
            {{ return(false) }}
        {%- endif -%}
    {%- endfor -%}
    {{ return(true) }}
{% endmacro %}
