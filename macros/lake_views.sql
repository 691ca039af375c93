{#
    Makes the views of all tables that the lake has, so that `select * from raw.fills` works, and any
    selection of models, tests and unit tests can run: also in a new DuckDB file, and in one that was
    used for another lake. A table that has no data gets a view of its columns without rows. A view that
    can be read like a table is made where it is missing. Runs before a run; a view that is as it should
    be is left alone.
#}
{% macro lake_views() %}
    {%- if execute -%}
        {%- if invocation_args_dict.defer -%}
            {%- do exceptions.raise_compiler_error(
                '--defer has no effect on tables of a lake: a model reads the lake that LAKE_ROOT names. '
                ~ 'Leave --defer out and build what the model reads, or set LAKE_ROOT to the lake that '
                ~ 'has it. --state alone still selects what changed.'
            ) -%}
        {%- endif -%}
        {%- set tables = [] -%}
        {%- set channels = {} -%}
        {%- set built = {} -%}
        {%- for node in graph.sources.values() if node.config.meta.get('partition_by') -%}
            {%- set spec = lake_input(node) -%}
            {%- do channels.update({spec.location: spec.layouts}) -%}
            {%- do tables.append([node, spec, node.schema ~ '.' ~ node.identifier]) -%}
        {%- endfor -%}
        {%- set models = graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | list -%}
        {%- for node in models if node.config.materialized == 'lake' -%}
            {%- set spec = lake_input(node) -%}
            {%- do built.update({spec.location: spec.layouts}) -%}
            {%- do tables.append([node, spec, spec.location | replace('/', '.')]) -%}
        {%- endfor -%}
        {%- set filled = lake_call('begin_run', {'channels': channels, 'built': built}) -%}
        {%- set comments = lake_view_comments() -%}
        {%- set schemas = [] -%}
        {%- for node, spec, place in tables -%}
            {%- set layouts = filled.layouts.get(spec.location, []) -%}
            {%- set has_columns = spec.columns | length > spec.partition_by | length -%}
            {%- if spec.location in filled.with_views -%}
                {#- Its view is of this lake and as empty, or not, as the table. -#}
            {%- elif layouts or has_columns -%}
                {%- if node.schema not in schemas -%}
                    {%- do run_query('create schema if not exists ' ~ node.schema) -%}
                    {%- do schemas.append(node.schema) -%}
                {%- endif -%}
                {%- do lake_put_view(
                    place,
                    lake_view(spec, layouts),
                    node.description,
                    comments.get(place) if spec.is_raw,
                    [] if spec.is_raw else ['as a run began']
                ) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for node in models if lake_is_view(node) -%}
            {%- set place = node.schema ~ '.' ~ node.alias -%}
            {%- if place not in comments -%}
                {%- do lake_put_view(
                    place, render(node.raw_code), node.description, none, ['as a run began']
                ) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- do lake_load_seeds() -%}
    {%- endif -%}
{% endmacro %}
