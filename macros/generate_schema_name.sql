{# A schema is a layer: `compacted.trades`, not `main_compacted.trades`. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
