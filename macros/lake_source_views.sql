{# Makes a view of every raw source, so that `select * from raw.fills` works. Runs before a run. #}
{% macro lake_source_views() %}
    {%- if execute -%}
        {%- do lake_call('begin_run') -%}
        {%- for node in graph.sources.values() if node.config.meta.get('partition_by') -%}
            {%- set spec = lake_input(node) -%}
            {%- set found = run_query("select 1 from glob('" ~ lake_glob(spec) ~ "') limit 1") -%}
            {%- do run_query('create schema if not exists ' ~ node.schema) -%}
            {%- do run_query(
                'create or replace view ' ~ node.schema ~ '.' ~ node.identifier ~ ' as '
                ~ lake_view(spec, found.rows | length > 0)
            ) -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}
