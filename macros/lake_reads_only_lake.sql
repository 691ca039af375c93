{#
    Whether a test reads lake tables and nothing else, so that its inputs tell whether it can change. A
    test that says `meta.reads_quarantine` reads more than it names.
#}
{% macro lake_reads_only_lake(test) %}
    {%- set others = [] -%}
    {%- for name in test.depends_on.nodes -%}
        {%- set node = graph.nodes.get(name) or graph.sources.get(name) -%}
        {%- set is_lake = node.config.meta.get('partition_by') if node.resource_type == 'source'
            else node.config.materialized == 'lake' -%}
        {%- if not is_lake -%}{%- do others.append(name) -%}{%- endif -%}
    {%- endfor -%}
    {%- if test.config.meta.get('reads_quarantine') -%}{%- do others.append('quarantine') -%}{%- endif -%}
    {{ return(test.depends_on.nodes | length > 0 and not others) }}
{% endmacro %}
