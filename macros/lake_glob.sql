{# The pattern that matches the data files of a table, and nothing else, where they lie by these columns. #}
{% macro lake_glob(spec, columns) -%}
    {{ adapter.escape_sql_string(adapter.external_root()) }}/{{ spec.location }}/
    {%- for column in columns %}{{ column }}=*/{% endfor -%}
    {{ '[!._]*.parquet' if spec.is_raw else 'data.parquet' }}
{%- endmacro %}
