{#
    A view on lake tables is made again only where it, or a table that it reads, is not what it was:
    DuckDB looks at every file of these tables to bind it. Any other view is dbt's.
#}
{% materialization view, adapter='duckdb' %}

    {%- set behind = lake_tables_behind(model) -%}
    {%- if behind is none -%}
        {{ return(dbt.materialization_view_default()) }}
    {%- endif -%}

    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set existing_relation = load_cached_relation(this) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- if existing_relation is not none and not existing_relation.is_view -%}
        {%- do drop_relation_if_exists(existing_relation) -%}
    {%- endif -%}

    {#- The comments of lake tables tell what their columns are; where none are declared, only their data. -#}
    {%- set comments = lake_view_comments() -%}
    {%- set made_from = [model.columns, config.persist_column_docs()] -%}
    {%- for name in model.depends_on.nodes -%}
        {%- set node = graph.nodes.get(name) or graph.sources.get(name) -%}
        {%- do made_from.append(comments.get(node.schema ~ '.' ~ (node.alias or node.identifier))) -%}
    {%- endfor -%}
    {%- for name in behind if name in graph.nodes and not graph.nodes[name].columns -%}
        {%- do made_from.append(invocation_id) -%}
    {%- endfor -%}
    {%- if lake_is_view(model) and not flags.EMPTY -%}
        {%- do lake_call('view_made', {
            'location': model.schema ~ '/' ~ model.alias, 'behind': lake_inputs(model, names=behind),
        }) -%}
    {%- endif -%}
    {%- set comment = comments.get(this.schema ~ '.' ~ this.identifier) -%}
    {%- set description = model.description if config.persist_relation_docs() else '' -%}
    {%- set is_new = lake_put_view(
        target_relation,
        sql,
        description,
        comment,
        made_from,
        documented=model,
        is_contracted=config.get('contract').enforced
    ) -%}
    {%- do store_raw_result(
        'main', message='OK' if is_new else 'unchanged', code='OK', rows_affected=none
    ) -%}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {% do adapter.commit() %}
    {{ run_hooks(post_hooks, inside_transaction=False) }}

    {{ return({'relations': [target_relation]}) }}

{% endmaterialization %}
