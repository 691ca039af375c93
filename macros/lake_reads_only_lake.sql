{#
    Whether a test reads lake tables and nothing else, so that it can read just what it has not passed on.
#}
{% macro lake_reads_only_lake(test) %}
    {{ return(lake_tables_behind(test) == (test.depends_on.nodes | unique | list)) }}
{% endmacro %}
