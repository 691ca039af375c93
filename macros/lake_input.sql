{# What the engine has to know of one input: a lake model or a raw source, by its `graph` entry. #}
{% macro lake_input(node, lookback={}) %}
    {%- set is_raw = node.resource_type == 'source' -%}
    {%- set partition_by = node.config.meta.get('partition_by') if is_raw
        else node.config.get('partition_by') -%}
    {%- if not partition_by or (not is_raw and node.config.materialized != 'lake') -%}
        {%- do exceptions.raise_compiler_error(
            node.name ~ ' is no lake table: lake models and their tests can read models that are '
            ~ "materialized as 'lake', sources with meta.partition_by, and seeds."
        ) -%}
    {%- endif -%}
    {%- set columns = {} -%}
    {%- for column in node.columns.values() if column.name not in ('segment', 'segment_row') -%}
        {%- do columns.update({column.name: column.data_type}) -%}
    {%- endfor -%}
    {%- for column in partition_by if not columns.get(column) -%}
        {%- do columns.update({column: 'date' if column == 'date' else 'varchar'}) -%}
    {%- endfor -%}
    {%- set layouts = [partition_by] -%}
    {%- if is_raw and 'symbol' in columns and 'symbol' not in partition_by -%}
        {%- do layouts.append(['exchange', 'symbol', 'date']) -%}
    {%- endif -%}
    {%- set location = node.source_name ~ '/' ~ node.name if is_raw
        else node.schema ~ '/' ~ (node.alias or node.name) -%}
    {{ return({
        'name': node.source_name ~ '_' ~ node.name if is_raw else node.name,
        'location': location,
        'partition_by': partition_by,
        'layouts': layouts,
        'columns': columns,
        'is_raw': is_raw,
        'lookback': lookback.get(node.name, 0),
        'views': [],
        'required': node.config.meta.get('required', []) if is_raw else [],
    }) }}
{% endmacro %}
