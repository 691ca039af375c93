{# The value in an answer to `lake_call_sql`; raises the error that it may be. #}
{% macro lake_answer(text) %}
    {%- set answer = fromjson(text) -%}
    {%- if answer is mapping and answer.error is defined -%}
        {%- do exceptions.raise_compiler_error(answer.error) -%}
    {%- endif -%}
    {{ return(answer) }}
{% endmacro %}
