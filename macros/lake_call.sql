{# The answer of `ticklake.lake.materialization` to a question, for example `result_of`. #}
{% macro lake_call(function, arguments={}) %}
    {%- do arguments.update({'invocation': invocation_id, 'root': adapter.external_root()}) -%}
    {%- set query -%}
        select lake_call('{{ function }}', '{{ adapter.escape_sql_string(tojson(arguments)) }}')
    {%- endset -%}
    {%- set answer = fromjson(run_query(query).rows[0][0]) -%}
    {%- if answer is mapping and answer.error is defined -%}
        {%- do exceptions.raise_compiler_error(answer.error) -%}
    {%- endif -%}
    {{ return(answer) }}
{% endmacro %}
