{# Whether a test reads nothing but lake tables, so that what it passed on can be left out. #}
{% macro lake_is_incremental_test(test) %}
    {%- set others = [] -%}
    {%- for name in test.depends_on.nodes -%}
        {%- set node = graph.nodes.get(name) -%}
        {%- if node and node.config.materialized != 'lake' -%}{%- do others.append(name) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(test.depends_on.nodes and not others) }}
{% endmacro %}
