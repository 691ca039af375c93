{# The query of a table's view: its files by partition, or typed nothing while there are none. #}
{% macro lake_view(spec, has_files) %}
    {%- set columns = [] -%}
    {%- for name in spec.columns -%}{%- do columns.append(adapter.quote(name)) -%}{%- endfor -%}
    {%- if has_files and spec.is_raw -%}
        select * from {{ lake_segments(spec, "'" ~ lake_glob(spec) ~ "'") }}
    {%- elif has_files %}
        select {{ '*' if spec.columns | length == spec.partition_by | length else columns | join(', ') }}
        from read_parquet(
            '{{ lake_glob(spec) }}', {{ lake_hive_types(spec.partition_by, spec.columns) }}
        )
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
