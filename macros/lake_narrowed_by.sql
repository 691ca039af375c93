{#
    The columns by which a reader takes its own rows of an input, where a partition of it has rows of
    other units too: exchange and symbol, say. None where partitions tell them apart, and of a test. An SQL model gets these rows by a join, which does not keep their order.
#}
{% macro lake_narrowed_by(reader, spec) %}
    {%- set unit_by = (reader.config.get('unit_by') or reader.config.get('partition_by') or [])
        if reader.resource_type == 'model' else [] -%}
    {%- set told = unit_by | reject('in', ['date', 'month']) | select('in', spec.columns) | list -%}
    {{ return(told if told | reject('in', spec.partition_by) | list else []) }}
{% endmacro %}
