{#
    SQL that reads the files of the current batch of an input: what `lake_ref` and `lake_source`
    render while a model is built. `node` is the input's entry in `graph`.
#}
{% macro lake_files(node, with_position=false) %}
    {%- set spec = lake_input(node) -%}
    read_parquet(
        getvariable('in_{{ spec.name }}'), {{ lake_hive_types(spec.partition_by, spec.columns) }}
        {%- if spec.is_raw %}, union_by_name = true{% endif %}
        {%- if spec.is_raw or with_position %}, filename = true, file_row_number = true{% endif %}
    )
{%- endmacro %}
