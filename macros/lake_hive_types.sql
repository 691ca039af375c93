{#
    Arguments of `read_parquet` that give partition columns their declared types. The types are
    strings: a bare `date` would be taken for a column of a table joined before.
#}
{% macro lake_hive_types(partition_by, columns) -%}
    hive_partitioning = true, hive_types = {
    {%- for column in partition_by -%}
        '{{ column }}': '{{ columns[column] }}'{{ ', ' if not loop.last }}
    {%- endfor -%}
    }
{%- endmacro %}
