{#
    A data test on lake tables does not run again on what it has passed on: a test is a pure function
    of the bytes it reads too. Where its verdict is made of verdicts on units it reads the units that
    changed (see lake_tests_by_unit), else everything when anything changed. The test itself is
    run by dbt's own materialization.
#}
{% materialization test, adapter='duckdb' %}

    {%- if not lake_reads_only_lake(model) -%}
        {{ return(dbt.materialization_test_default()) }}
    {%- endif -%}

    {%- set name = model.unique_id -%}
    {%- set check = lake_call('begin_check', {
        'test': name,
        'code': [sql, config.get('fail_calc'), config.get('where')],
        'by_unit': lake_tests_by_unit(model),
        'inputs': lake_inputs(model),
        'is_build': flags.WHICH == 'build',
    }) -%}

    {%- if check.has_passed -%}
        {% call statement('main', fetch_result=True) -%}
            select 0 as failures, false as should_warn, false as should_error
        {%- endcall %}
        {{ return({'relations': []}) }}
    {%- endif -%}

    {%- for input in check.inputs -%}
        {%- set arguments = tojson({
            'test': name, 'input': input,
            'invocation': invocation_id, 'root': adapter.external_root(),
        }) -%}
        {%- do run_query(
            'set variable in_' ~ input ~ " = from_json(lake_call('files', '"
            ~ adapter.escape_sql_string(arguments) ~ "'), '[\"varchar\"]')"
        ) -%}
    {%- endfor -%}

    {%- set result = dbt.materialization_test_default() -%}

    {%- if load_result('main').table.rows[0][0] == 0 -%}
        {%- do lake_call('pass_check', {'test': name}) -%}
    {%- endif -%}

    {{ return(result) }}

{% endmaterialization %}
