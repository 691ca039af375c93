{#
    Rows of raw segments in their declared types, with the order of their arrival: `segment` (the
    name of the file), then `segment_row`. `files` is SQL for their places.

    The schema is given, not found: columns that a segment lacks are null, others that it has are left
    out, each file is cast on its own, and no file is opened to bind the query. DuckDB takes no
    partition columns beside a schema, so these come from the file name; filters on them still prune.

    A segment may have text in place of a decimal(38, 12): DuckDB reads both as a union, and text
    becomes its number by `exact_decimal`. Casting text to decimal(38, 12) would round it, slowly.
#}
{% macro lake_segments(spec, files) -%}
    {%- set numbers = [] -%}
    {%- for name, type in spec.columns.items()
        if type | lower | replace(' ', '') == 'decimal(38,12)' and name not in spec.partition_by -%}
        {%- do numbers.append(name) -%}
    {%- endfor %}
    (
        select
        {%- for name, type in spec.columns.items() if name in spec.partition_by %}
            try_cast(url_decode(regexp_extract(filename, '.*/{{ name }}=([^/]*)/', 1)) as {{ type }})
                as {{ adapter.quote(name) }},
        {%- endfor %}
            * exclude (filename)
            {%- if numbers %} replace (
            {%- for name in numbers %}
                coalesce(
                    union_extract({{ adapter.quote(name) }}, 'number'),
                    {{ exact_decimal("union_extract(" ~ adapter.quote(name) ~ ", 'text')") }}
                ) as {{ adapter.quote(name) }}{{ ',' if not loop.last }}
            {%- endfor %}
            )
            {%- endif %},
            parse_filename(filename) as segment,
            file_row_number as segment_row
        from read_parquet(
            {{ files }}, filename = true, schema = map {
            {%- for name, type in spec.columns.items() if name not in spec.partition_by %}
                '{{ name }}': {'name': '{{ name }}', 'type': '{{ 'union(number decimal(38, 12), text varchar)' if name in numbers else adapter.escape_sql_string(type) }}', 'default_value': null}
                {{- ',' if not loop.last }}
            {%- endfor %}
            }
        )
    )
{%- endmacro %}
