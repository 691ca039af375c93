{# Makes a view of every raw source, so that `select * from raw.fills` works. Runs before a run. #}
{% macro lake_source_views() %}
    {%- if execute -%}
        {%- set sources = [] -%}
        {%- set channels = {} -%}
        {%- for node in graph.sources.values() if node.config.meta.get('partition_by') -%}
            {%- set spec = lake_input(node) -%}
            {%- do channels.update({spec.location: spec.partition_by}) -%}
            {%- do sources.append([node, spec]) -%}
        {%- endfor -%}
        {%- set comments = lake_view_comments() -%}
        {%- set python_models = graph.nodes.values()
            | selectattr('resource_type', 'equalto', 'model')
            | selectattr('language', 'equalto', 'python')
            | map(attribute='unique_id') | select('in', selected_resources) | list -%}
        {%- set landed = lake_call(
            'begin_run', {'channels': channels, 'has_python_models': python_models != []}
        ) -%}
        {%- for node, spec in sources -%}
            {%- set place = node.schema ~ '.' ~ node.identifier -%}
            {%- if place not in comments -%}
                {%- do run_query('create schema if not exists ' ~ node.schema) -%}
            {%- endif -%}
            {%- do lake_put_view(
                place,
                lake_view(spec, spec.location in landed),
                node.description,
                comments.get(place)
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
