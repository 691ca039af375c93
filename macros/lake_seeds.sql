{# The seeds that a model reads, as relations: their content counts as code. #}
{% macro lake_seeds(reader) %}
    {%- set seeds = [] -%}
    {%- for name in reader.depends_on.nodes -%}
        {%- set node = graph.nodes.get(name) -%}
        {%- if node and node.resource_type == 'seed' -%}
            {%- do seeds.append('"' ~ node.schema ~ '"."' ~ node.alias ~ '"') -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(seeds) }}
{% endmacro %}
