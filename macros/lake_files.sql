{#
    SQL that reads the files of the current batch of an input: what `lake_ref` and `lake_source`
    render while a model is built. `node` is the input's entry in `graph`. Of an input with all symbols
    in a partition, a model whose units have one symbol reads the rows of its units.
#}
{% macro lake_files(node, with_position=false) %}
    {%- set spec = lake_input(node) -%}
    {%- set files = "getvariable('in_" ~ spec.name ~ "')" -%}
    {%- set narrowed_by = lake_narrowed_by(model, spec) -%}
    {%- if narrowed_by %}(
        select * from {% endif -%}
    {%- if spec.is_raw -%}
        {{ lake_segments(spec, files) }}
    {%- else -%}
        read_parquet(
            {{ files }}, {{ lake_hive_types(spec.partition_by, spec.columns) }}
            {%- if with_position %}, filename = true, file_row_number = true{% endif %}
        )
    {%- endif -%}
    {%- if narrowed_by and model.language == 'python' %}
        {#- One unit, and plain filters: a join would not keep the order of the rows. -#}
        where
        {%- for name in narrowed_by %}
            {{ adapter.quote(name) }} = getvariable('unit_keys')[1]['{{ name }}']{{ ' and' if not loop.last }}
        {%- endfor %}
    )
    {%- elif narrowed_by %}
        semi join (select unnest(getvariable('unit_keys'), recursive := true)) using ({{ narrowed_by | join(', ') }})
    ){% endif -%}
{%- endmacro %}
