{#
    `source` for raw segments: `from {{ lake_source('raw', 'trades') }}`. Rows carry their order of
    arrival: `segment` (the name of the file) and then `segment_row`. See `lake_ref`.
#}
{% macro lake_source(source_name, name) %}
    {%- set relation = source(source_name, name) -%}
    {%- if not lake_is_building(relation) -%}
        {{ relation }}
    {%- else -%}
        {%- set node = graph.sources.values() | selectattr('source_name', 'equalto', source_name)
            | selectattr('name', 'equalto', name) | first -%}
        {{ lake_files(node) }}
    {%- endif -%}
{% endmacro %}
