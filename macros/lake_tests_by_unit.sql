{#
    Whether the verdict of a test on a table is made of its verdicts on units (an exchange and date,
    say), so that units it passed on can be left out. True for tests of single rows, for tests of
    ours that say so with `meta.by_unit`, and for those of groups of rows (uniqueness, numbering) whose
    columns hold all partition columns.
#}
{% macro lake_tests_by_unit(test) %}
    {%- set generic = test.test_metadata.name if test.test_metadata else none -%}
    {%- if generic in ('not_null', 'accepted_values', 'is_true', 'is_time_ordered') -%}
        {{ return(true) }}
    {%- elif generic in ('is_unique_on', 'is_numbered', 'is_open_last') -%}
        {%- set arguments = test.test_metadata.kwargs -%}
        {%- set columns = arguments.columns or arguments.within -%}
        {#- What all tables behind a view are partitioned by says what its units are. -#}
        {%- set inputs = lake_inputs(test) -%}
        {%- set unit_by = (inputs | first).partition_by | list -%}
        {%- for input in inputs -%}
            {%- set unit_by = unit_by | select('in', input.partition_by) | list -%}
        {%- endfor -%}
        {{ return(unit_by | reject('in', columns) | list | length == 0) }}
    {%- endif -%}
    {{ return(test.config.meta.get('by_unit', false)) }}
{% endmacro %}
