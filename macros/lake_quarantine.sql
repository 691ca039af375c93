{#
    Raw segments that cannot be used, as rows of path, error_type and message: those in quarantine, and
    those that a test has met and the next build will move there.
#}
{% macro lake_quarantine() -%}
    {%- set segments = [] -%}
    {%- if execute and flags.WHICH in ('build', 'test', 'show') -%}
        {#- `dbt show` has not opened the database yet, and with it the plugin. -#}
        {%- do run_query('select 1') -%}
        {%- set segments = lake_call('unusable_segments') -%}
    {%- endif -%}
    (
        select unnest(
            from_json(
                '{{ adapter.escape_sql_string(tojson(segments)) }}',
                '[{"path": "varchar", "error_type": "varchar", "message": "varchar"}]'
            ),
            max_depth := 2
        )
    )
{%- endmacro %}
