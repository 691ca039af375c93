{#
    The lake tables that a model or test reads, in the order it names them; `names` are those it reads
    through views. A view that can be read like a table stands for the tables behind it, which then
    answer to its name too.
#}
{% macro lake_inputs(reader, lookback={}, names=none) %}
    {%- set inputs = {} -%}
    {%- for name in names or reader.depends_on.nodes -%}
        {%- set node = graph.sources.get(name) or graph.nodes.get(name) -%}
        {%- set is_view = lake_is_view(node) -%}
        {%- for table in (lake_tables_behind(node) if is_view else []) -%}
            {%- do lake_add_input(inputs, table, lookback, node.name) -%}
        {%- endfor -%}
        {%- if node.resource_type != 'seed' and not is_view -%}
            {%- do lake_add_input(inputs, name, lookback) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(inputs.values() | list) }}
{% endmacro %}
