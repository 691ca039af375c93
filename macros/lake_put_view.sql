{#
    Makes the view of a table where it is not yet what it should be. DuckDB looks at every file of a
    table to bind its view, so a build that changes nothing must not make it again. The comment on a
    view ends with a mark of what it was made from, set last; it goes when the view is replaced, so it
    never tells of another one.

    `comment` is the comment now, none where there is no view; `made_from` is what may change the view
    or its types beside `query`; `documented` is the model whose columns have comments. Of a view that
    `is_contracted`, dbt first compares the columns with those declared. Returns whether it was made.
#}
{% macro lake_put_view(
    relation, query, description, comment, made_from=[], documented=none, is_contracted=false
) %}
    {%- set mark = '[ticklake ' ~ local_md5(tojson([query, description, made_from])) ~ ']' -%}
    {%- if comment and comment.endswith(mark) -%}
        {{ return(false) }}
    {%- endif -%}
    {%- if is_contracted -%}{%- do get_assert_columns_equivalent(query) -%}{%- endif -%}
    {%- do run_query('create or replace view ' ~ relation ~ ' as ' ~ query) -%}
    {%- if documented -%}
        {%- do persist_docs(relation, documented, for_relation=false) -%}
    {%- endif -%}
    {%- set text = adapter.escape_sql_string((description | trim ~ '\n' ~ mark) | trim) -%}
    {%- do run_query('comment on view ' ~ relation ~ " is '" ~ text ~ "'") -%}
    {{ return(true) }}
{% endmacro %}
