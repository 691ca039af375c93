{# The lake tables that a model or test reads, in the order it names them. #}
{% macro lake_inputs(reader, lookback={}) %}
    {%- set inputs = [] -%}
    {%- for name in reader.depends_on.nodes -%}
        {%- set node = graph.sources.get(name) or graph.nodes.get(name) -%}
        {%- if node.resource_type != 'seed' -%}
            {%- do inputs.append(lake_input(node, lookback)) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(inputs) }}
{% endmacro %}
