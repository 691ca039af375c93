{# The query of a table's view: its files by partition, or typed nothing while there are none. #}
{% macro lake_view(spec, has_files) %}
    {%- set columns = [] -%}
    {%- for name in spec.columns -%}{%- do columns.append(adapter.quote(name)) -%}{%- endfor -%}
    {%- if has_files -%}
        {%- set files -%}
            read_parquet(
                '{{ lake_glob(spec) }}', {{ lake_hive_types(spec.partition_by, spec.columns) }}
                {%- if spec.is_raw -%}
                , filename = true, file_row_number = true
                {%- endif -%}
            )
        {%- endset %}
        select {{ '*' if spec.is_raw or spec.columns | length == spec.partition_by | length
            else columns | join(', ') }}
        from {{ lake_segments(files) if spec.is_raw else files }}
    {%- else %}
        select
        {%- for name, type in spec.columns.items() %}
            cast(null as {{ type }}) as {{ adapter.quote(name) }}{{ ',' if not loop.last }}
        {%- endfor %}
        {%- if spec.is_raw %}, cast(null as varchar) as segment, cast(null as bigint) as segment_row
        {%- endif %}
        where false
    {%- endif -%}
{% endmacro %}
