{#
    Rows of raw segments in their declared types, with the order of their arrival: `segment` (the
    name of the file), then `segment_row`. `files` is SQL for their places.

    The schema is given, not found: columns that a segment lacks are null, others that it has are left
    out, each file is cast on its own, and no file is opened to bind the query. DuckDB takes no
    partition columns beside a schema, so these come from the file name; filters on them still prune.
#}
{% macro lake_segments(spec, files) -%}
    (
        select
        {%- for name, type in spec.columns.items() if name in spec.partition_by %}
            try_cast(url_decode(regexp_extract(filename, '.*/{{ name }}=([^/]*)/', 1)) as {{ type }})
                as {{ adapter.quote(name) }},
        {%- endfor %}
            * exclude (filename),
            parse_filename(filename) as segment,
            file_row_number as segment_row
        from read_parquet(
            {{ files }}, filename = true, schema = map {
            {%- for name, type in spec.columns.items() if name not in spec.partition_by %}
                '{{ name }}': {'name': '{{ name }}', 'type': '{{ adapter.escape_sql_string(type) }}', 'default_value': null}
                {{- ',' if not loop.last }}
            {%- endfor %}
            }
        )
    )
{%- endmacro %}
