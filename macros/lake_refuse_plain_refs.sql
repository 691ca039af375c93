{#
    An SQL model that reads a lake table with plain `ref` or `source` would read all of it, which
    its fingerprint does not cover.
#}
{% macro lake_refuse_plain_refs(reader, inputs) %}
    {%- if reader.language == 'sql' -%}
        {%- for input in inputs if "getvariable('in_" ~ input.name ~ "')" not in reader.compiled_code -%}
            {%- do exceptions.raise_compiler_error(
                reader.name ~ ' reads ' ~ input.location ~ ' with ref or source. Use lake_ref or '
                ~ 'lake_source, so that it reads the partitions it is a function of.'
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
