{#
    Gives back the lease on the lake. Runs after a run, whatever its outcome, and fails if some units
    could not be built: their models have published all others, so that what depends on these was
    built too.
#}
{% macro lake_end_run() %}
    {%- if execute -%}
        {%- set failed = lake_call('end_run') -%}
        {%- if failed -%}
            select error('{{ adapter.escape_sql_string(failed) }}')
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
