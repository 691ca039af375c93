{# The pattern that matches the data files of a table, and nothing else. #}
{% macro lake_glob(spec) -%}
    {{ adapter.escape_sql_string(adapter.external_root()) }}/{{ spec.location }}/
    {%- for column in spec.partition_by %}{{ column }}=*/{% endfor -%}
    {{ '[!._]*.parquet' if spec.is_raw else 'data.parquet' }}
{%- endmacro %}
