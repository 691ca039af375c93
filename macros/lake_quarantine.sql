{#
    Raw segments that cannot be used, as rows of path, error_type and message: those in quarantine, and
    those that a test has met and the next build will move there.
#}
{% macro lake_quarantine() -%}
    {%- set is_run = execute and flags.WHICH in ('build', 'test') -%}
    {%- set segments = lake_call('unusable_segments') if is_run else [] -%}
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
