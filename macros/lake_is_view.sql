{#
    Whether a node is a view that can be read like a table: one that reads lake tables with `lake_ref`,
    so that its SQL can run over the files of a batch. Like a model it must be a function of the units
    of its readers: it may not look at other days.
#}
{% macro lake_is_view(node) %}
    {{ return(
        node.resource_type == 'model' and node.config.materialized == 'view'
        and 'lake_ref(' in node.raw_code and lake_tables_behind(node) is not none
    ) }}
{% endmacro %}
