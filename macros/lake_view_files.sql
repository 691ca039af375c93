{# SQL of a view over the files of the current batch: what `lake_ref` renders of it. #}
{% macro lake_view_files(node) -%}
    (
        {{ render(node.raw_code) | trim }}
    )
{%- endmacro %}
