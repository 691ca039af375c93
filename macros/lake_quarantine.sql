{#
    Raw segments that cannot be used, as rows of path, error_type and message: those in quarantine, and
    those that a test has met and the next build will move there.
#}
{% macro lake_quarantine() -%}
    {%- if execute -%}
    (
        select unnest(
            from_json(
                {{ lake_call_sql('unusable_segments') }},
                '[{"path": "varchar", "error_type": "varchar", "message": "varchar"}]'
            ),
            max_depth := 2
        )
    )
    {%- endif -%}
{%- endmacro %}
