{#
    Rows of raw segments in their declared types, with the order of their arrival: `segment` (the
    name of the file), then `segment_row`. `files` is SQL for their places.

    The schema is given, not found: columns that a segment lacks are null, others that it has are left
    out, each file is cast on its own, and no file is opened to bind the query. DuckDB takes no
    partition columns beside a schema, so these come from the file name; filters on them still prune.

    A segment may have text in place of a decimal(38, 12): DuckDB reads both as a union, and text
    becomes its number by `exact_decimal`. Casting text to decimal(38, 12) would round it, slowly.

    Segments of a table with all symbols in a partition may lie by symbol: then the path says which.
#}
{% macro lake_segments(spec, files) -%}
    {%- set replaced = {} -%}
    {%- for name, type in spec.columns.items()
        if type | lower | replace(' ', '') == 'decimal(38,12)' and name not in spec.partition_by -%}
        {%- set text = exact_decimal('union_extract(' ~ adapter.quote(name) ~ ", 'text')") -%}
        {%- do replaced.update({
            name: 'coalesce(union_extract(' ~ adapter.quote(name) ~ ", 'number'), " ~ text ~ ')'
        }) -%}
    {%- endfor %}
    {%- set numbers = replaced | list -%}
    {%- if spec.layouts | length > 1 -%}
        {%- do replaced.update({
            'symbol': "coalesce(symbol, url_decode(nullif(regexp_extract(filename, '.*/symbol=([^/]*)/', 1), '')))"
        }) -%}
    {%- endif %}
    (
        select
        {%- for name, type in spec.columns.items() if name in spec.partition_by %}
            try_cast(url_decode(regexp_extract(filename, '.*/{{ name }}=([^/]*)/', 1)) as {{ type }})
                as {{ adapter.quote(name) }},
        {%- endfor %}
            * exclude (filename)
            {%- if replaced %}
            replace (
            {%- for name, value in replaced.items() %}
                {{ value }} as {{ adapter.quote(name) }}{{ ',' if not loop.last }}
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
