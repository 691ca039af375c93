{# What a Python model takes from its config with `dbt.config.get`: it counts as code. #}
{% macro lake_python_config(reader) %}
    {%- set used = {} -%}
    {%- for key in reader.config.get('config_keys_used') or [] -%}
        {%- do used.update({key: reader.config.get(key) | string}) -%}
    {%- endfor -%}
    {{ return(used) }}
{% endmacro %}
