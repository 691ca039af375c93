{# Rows of raw segments with the order of their arrival; `files` reads them with their position. #}
{% macro lake_segments(files) -%}
    (
        select
            * exclude (filename, file_row_number),
            parse_filename(filename) as segment,
            file_row_number as segment_row
        from {{ files }}
    )
{%- endmacro %}
