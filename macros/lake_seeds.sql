{# The seeds that a model reads, with the checksum of each: they count as code. #}
{% macro lake_seeds(reader) %}
    {%- set seeds = {} -%}
    {%- for name in reader.depends_on.nodes if graph.nodes.get(name, {}).resource_type == 'seed' -%}
        {%- do seeds.update({name: graph.nodes[name].checksum.checksum}) -%}
    {%- endfor -%}
    {{ return(seeds) }}
{% endmacro %}
