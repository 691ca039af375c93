{# Adds a table to the inputs, or to what is there of it that it is read through a view, too. #}
{% macro lake_add_input(inputs, name, lookback, view=none) %}
    {%- set input = inputs.get(name) or lake_input(graph.sources.get(name) or graph.nodes.get(name), lookback) -%}
    {%- if view -%}
        {%- do input.update({
            'views': input.views + [view],
            'lookback': [input.lookback, lookback.get(view, 0)] | max,
        }) -%}
    {%- endif -%}
    {%- do inputs.update({name: input}) -%}
{% endmacro %}
