{#
    A data test on lake tables does not run again on what it has passed on: a test is a pure function
    of the bytes it reads too. Where its verdict is made of verdicts on units it reads the units that
    changed (see lake_tests_by_unit), else everything when anything changed, as does a test that reads
    lake tables through views. Where vars narrow the run, a test that compares tables reads what they
    select. The test itself is run by dbt's own materialization.
#}
{% materialization test, adapter='duckdb' %}

    {%- set behind = lake_tables_behind(model) -%}
    {%- if behind is none -%}
        {{ return(dbt.materialization_test_default()) }}
    {%- endif -%}
    {%- set code = [sql, config.get('fail_calc'), config.get('where')] -%}
    {%- set is_direct = behind == (model.depends_on.nodes | unique | list) -%}
    {%- if not is_direct -%}
        {#- The comment on a view has a mark of all that it is made from. -#}
        {%- set comments = lake_view_comments() -%}
        {%- for name in model.depends_on.nodes if graph.nodes.get(name) -%}
            {%- set node = graph.nodes[name] -%}
            {%- do code.append(comments.get(node.schema ~ '.' ~ node.alias, invocation_id)) -%}
        {%- endfor -%}
    {%- endif -%}

    {%- set name = model.unique_id -%}
    {%- set check = lake_call('begin_check', {
        'test': name,
        'code': code,
        'by_unit': is_direct and lake_tests_by_unit(model),
        'inputs': lake_inputs(model, names=behind),
        'is_build': flags.WHICH == 'build',
        'selection': lake_selection(),
    }) -%}

    {%- if check.result is defined -%}
        {%- do store_raw_result(
            'main', message='OK', code=none, rows_affected=none, agate_table=check.result
        ) -%}
        {{ return({'relations': []}) }}
    {%- endif -%}

    {%- for input, path in check.lists.items() -%}
        {%- do run_query(
            'set variable in_' ~ input ~ " = (select from_json(content, '[\"varchar\"]') from read_text('"
            ~ adapter.escape_sql_string(path) ~ "'))"
        ) -%}
    {%- endfor -%}

    {%- set result = dbt.materialization_test_default() -%}

    {%- do lake_show_failures(sql) -%}
    {%- if load_result('main').table.rows[0][0] == 0 -%}
        {%- do lake_call('pass_check', {'test': name}) -%}
    {%- endif -%}

    {{ return(result) }}

{% endmaterialization %}
