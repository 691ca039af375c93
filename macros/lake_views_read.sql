{#
    The views that a Python model reads: for each its location, its SQL over the files of a unit, the
    tables behind, and the order in which it has rows.
#}
{% macro lake_views_read(reader) %}
    {%- set found = [] -%}
    {%- for name in reader.depends_on.nodes if reader.language == 'python' -%}
        {%- set node = graph.nodes.get(name) -%}
        {%- if node and lake_is_view(node) -%}
            {%- set tables = [] -%}
            {%- for behind in lake_tables_behind(node) -%}
                {%- do tables.append((graph.nodes.get(behind) or graph.sources[behind]).name) -%}
            {%- endfor -%}
            {%- do found.append({
                'location': node.schema ~ '/' ~ node.alias,
                'query': lake_view_files(node) | string,
                'tables': tables,
                'order_by': node.config.get('order_by', []),
            }) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{% endmacro %}
