{#
    Gives back the lease on the lake. Runs after a run, whatever its outcome, and fails if some units
    could not be built: their models have published all others, so that what depends on these was
    built too. Warns of exchanges and symbols in vars that nothing has.
#}
{% macro lake_end_run() %}
    {%- if execute -%}
        {%- set end = lake_call('end_run') -%}
        {%- for warning in end.warnings -%}
            {%- do exceptions.warn(warning) -%}
        {%- endfor -%}
        {%- if end.failed -%}
            select error('{{ adapter.escape_sql_string(end.failed) }}')
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
