{#
    The lake tables that a model or test reads, in the order it names them; `names` are those it reads
    through views.
#}
{% macro lake_inputs(reader, lookback={}, names=none) %}
    {%- set inputs = [] -%}
    {%- for name in names or reader.depends_on.nodes -%}
        {%- set node = graph.sources.get(name) or graph.nodes.get(name) -%}
        {%- if node.resource_type != 'seed' -%}
            {%- do inputs.append(lake_input(node, lookback)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(inputs) }}
{% endmacro %}
