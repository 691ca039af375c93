{#
    What `dbt show` runs: of a model in Python, whose code is no SQL, the table that it has made.
#}
{% macro get_show_sql(compiled_code, sql_header, limit) %}
    {%- if model.language == 'python' -%}
        {%- set compiled_code = 'select * from ' ~ this -%}
    {%- endif -%}
    {{ return(dbt.get_show_sql(compiled_code, sql_header, limit)) }}
{% endmacro %}
