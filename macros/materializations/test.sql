{#
    A data test on lake tables does not run again on what it has passed on: a test is a pure function
    of the bytes it reads too. Where its verdict is made of verdicts on units it reads the units that
    changed (see lake_tests_by_unit), else everything when anything changed, as does a test that reads
    lake tables through views. The test itself is run by dbt's own materialization.
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
    {#- One statement asks, and has the result of a test that passed: there are many tests. -#}
    {%- set question = lake_call_sql('begin_check', {
        'test': name,
        'code': code,
        'by_unit': is_direct and lake_tests_by_unit(model),
        'inputs': lake_inputs(model, names=behind),
        'is_build': flags.WHICH == 'build',
    }) -%}
    {%- set response, table = adapter.execute(
        'select 0 as failures, false as should_warn, false as should_error, '
        ~ question ~ ' as answer',
        fetch=true
    ) -%}
    {%- set check = lake_answer(table.rows[0]['answer']) -%}

    {%- if check.has_passed -%}
        {%- do store_result('main', response, table.exclude(['answer'])) -%}
        {{ return({'relations': []}) }}
    {%- endif -%}

    {%- for input in check.inputs -%}
        {%- do run_query(
            'set variable in_' ~ input ~ ' = from_json('
            ~ lake_call_sql('files', {'test': name, 'input': input}) ~ ", '[\"varchar\"]')"
        ) -%}
    {%- endfor -%}

    {%- set result = dbt.materialization_test_default() -%}

    {%- if load_result('main').table.rows[0][0] == 0 -%}
        {%- do lake_call('pass_check', {'test': name}) -%}
    {%- endif -%}

    {{ return(result) }}

{% endmaterialization %}
