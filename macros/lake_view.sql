{#
    The query of a table's view: its files by partition, or typed nothing while there are none.
    `layouts` are the columns by which there are files, of which raw segments may have several.
#}
{% macro lake_view(spec, layouts) %}
    {%- set columns = [] -%}
    {%- for name in spec.columns -%}{%- do columns.append(adapter.quote(name)) -%}{%- endfor -%}
    {%- if layouts and spec.is_raw -%}
        {%- set patterns = [] -%}
        {%- for by in layouts -%}{%- do patterns.append("'" ~ lake_glob(spec, by) ~ "'") -%}{%- endfor -%}
        {%- set files = patterns | join(', ') -%}
        select * from {{ lake_segments(spec, files if patterns | length == 1 else '[' ~ files ~ ']') }}
    {%- elif layouts %}
        select {{ '*' if spec.columns | length == spec.partition_by | length else columns | join(', ') }}
        from read_parquet(
            '{{ lake_glob(spec, spec.partition_by) }}', {{ lake_hive_types(spec.partition_by, spec.columns) }}
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
