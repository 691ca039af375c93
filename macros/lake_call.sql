{#
    The answer of `ticklake.lake.materialization` to a question, for example `build_model`. It goes to the
    plugin of profiles.yml as a relation to store would, with the question as its configuration.
#}
{% macro lake_call(function, arguments={}) %}
    {%- set question = {
        'function': function,
        'arguments': dict(arguments, invocation=invocation_id, root=adapter.external_root()),
    } -%}
    {%- do adapter.store_relation('duckdb_plugin', none, [], '', '', question) -%}
    {%- if question.answer is mapping and question.answer.error is defined -%}
        {%- do exceptions.raise_compiler_error(question.answer.error) -%}
    {%- endif -%}
    {{ return(question.answer) }}
{% endmacro %}
