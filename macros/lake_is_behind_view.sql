{# Whether a reader reads a node through views alone. #}
{% macro lake_is_behind_view(reader, node) %}
    {%- if node.unique_id not in reader.depends_on.nodes -%}
        {%- for name in reader.depends_on.nodes -%}
            {%- set other = graph.nodes.get(name) -%}
            {%- if other and lake_is_view(other) and node.unique_id in lake_tables_behind(other) -%}
                {{ return(true) }}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(false) }}
{% endmacro %}
