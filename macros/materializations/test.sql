{#
    A data test on lake tables reads only what it has not passed on yet: a test is a pure function
    of the bytes it reads too, so bytes that passed are not read again until they or the test change.
    The test itself is run by dbt's own materialization.
#}
{% materialization test, adapter='duckdb' %}

    {%- set name = model.unique_id -%}
    {%- set is_incremental = lake_is_incremental_test(model) -%}
    {%- if is_incremental -%}
        {%- set check = lake_call(
            'begin_check', {'test': name, 'sql': sql, 'inputs': lake_inputs(model)}
        ) -%}
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
    {%- endif -%}

    {%- set result = dbt.materialization_test_default() -%}

    {%- if is_incremental and load_result('main').table.rows[0][0] == 0 -%}
        {%- do lake_call('pass_check', {'test': name}) -%}
    {%- endif -%}

    {{ return(result) }}

{% endmaterialization %}
