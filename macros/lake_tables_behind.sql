{#
    The unique ids of the lake tables that a test or a view reads, directly or through views; none where
    it reads anything else. What says `meta.reads_quarantine` reads more than it names.
#}
{% macro lake_tables_behind(reader) %}
    {%- if reader.config.meta.get('reads_quarantine') -%}{{ return(none) }}{%- endif -%}
    {%- set found = [] -%}
    {%- set others = [] -%}
    {%- for name in reader.depends_on.nodes -%}
        {%- set node = graph.nodes.get(name) or graph.sources.get(name) -%}
        {%- set is_lake = node.config.meta.get('partition_by') if node.resource_type == 'source'
            else node.config.materialized == 'lake' -%}
        {%- if is_lake -%}
            {%- do found.append(name) -%}
        {%- elif node.config.materialized == 'view' -%}
            {%- set behind = lake_tables_behind(node) -%}
            {%- do (others.append(name) if behind is none else found.extend(behind)) -%}
        {%- else -%}
            {%- do others.append(name) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found | unique | list if found and not others else none) }}
{% endmacro %}
