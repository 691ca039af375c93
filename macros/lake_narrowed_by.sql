{#
    The columns by which a reader takes its own rows of an input if a partition has rows of other units
    too: exchange and symbol, for example. None if partitions separate the units, and for a test. An SQL
    model gets these rows by a join, which does not keep their order.
#}
{% macro lake_narrowed_by(reader, spec) %}
    {%- set unit_by = (reader.config.get('unit_by') or reader.config.get('partition_by') or [])
        if reader.resource_type == 'model' else [] -%}
    {%- set columns = unit_by | reject('in', ['date', 'month']) | select('in', spec.columns) | list -%}
    {{ return(columns if columns | reject('in', spec.partition_by) | list else []) }}
{% endmacro %}
