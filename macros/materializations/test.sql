{#
    A data test on lake tables does not run again on what it has passed on: a test is a pure function
    of the bytes it reads too. Where its verdict is made of verdicts on units it reads the units that
    changed (see lake_tests_by_unit), else everything when anything changed, as does a test that reads
    lake tables through views. Only what dbt calls a pass is remembered, with the whole configuration of
    the test, and only of SQL that reads no clock and nothing outside the lake. Where vars narrow the
    run, a test that compares tables reads what they select. The test itself is run by dbt's own
    materialization.
#}
{% materialization test, adapter='duckdb' %}

    {%- set behind = lake_tables_behind(model) -%}
    {#- A failure that is to be stored is found again in each run. -#}
    {%- if behind is none or should_store_failures() -%}
        {%- set result = dbt.materialization_test_default() -%}
        {%- do lake_show_failures(sql) -%}
        {{ return(result) }}
    {%- endif -%}
    {%- set code = [sql] -%}
    {%- for name in ('fail_calc', 'warn_if', 'error_if', 'limit', 'severity', 'where', 'sql_header') -%}
        {%- do code.append(config.get(name) | string) -%}
    {%- endfor -%}
    {#- What counts rows that fail against a threshold has to see all of them. -#}
    {%- set is_of_rows = config.get('fail_calc') == 'count(*)' and config.get('limit') is none
        and config.get('warn_if') == '!= 0' and config.get('error_if') == '!= 0' -%}
    {%- set is_direct = lake_reads_only_lake(model) -%}
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
        'by_unit': is_direct and is_of_rows and lake_tests_by_unit(model),
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
    {%- set verdict = load_result('main').table.rows[0] -%}
    {%- if not verdict[1] and not verdict[2] -%}
        {%- set tables = [] -%}
        {%- for item in lake_inputs(model, names=behind) -%}
            {%- do tables.append(item.location.replace('/', '.')) -%}
        {%- endfor -%}
        {#- What is calculated and compared is SQL too. -#}
        {%- set whole = get_test_sql(
            sql, config.get('fail_calc'), config.get('warn_if'), config.get('error_if'), none
        ) -%}
        {%- do lake_call('pass_check', {'test': name, 'query': whole, 'tables': tables}) -%}
    {%- endif -%}

    {{ return(result) }}

{% endmaterialization %}
