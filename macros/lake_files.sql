{#
    SQL that reads the files of the current batch of an input: what `lake_ref` and `lake_source`
    render while a model is built. `node` is the input's entry in `graph`.
#}
{% macro lake_files(node, with_position=false) %}
    {%- set spec = lake_input(node) -%}
    {%- set files = "getvariable('in_" ~ spec.name ~ "')" -%}
    {%- if spec.is_raw -%}
        {{ lake_segments(spec, files) }}
    {%- else -%}
        read_parquet(
            {{ files }}, {{ lake_hive_types(spec.partition_by, spec.columns) }}
            {%- if with_position %}, filename = true, file_row_number = true{% endif %}
        )
    {%- endif -%}
{%- endmacro %}
