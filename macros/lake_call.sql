{# The answer of `ticklake.lake.materialization` to a question, for example `result_of`. #}
{% macro lake_call(function, arguments={}) %}
    {%- set query = 'select ' ~ lake_call_sql(function, arguments) -%}
    {{ return(lake_answer(adapter.execute(query, fetch=true)[1].rows[0][0])) }}
{% endmacro %}
