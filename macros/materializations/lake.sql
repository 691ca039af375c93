{#
    Partitions as external Parquet, each a pure function of its input partitions.

        config(
            materialized='lake',
            partition_by=['exchange', 'symbol', 'date'],   columns of the result that name a partition
            order_by=['trade_seq'],                        a total order of the rows of a partition
            unit_by=['exchange', 'date'],                  what is planned and computed as one
            lookback={'order_book': 1},                    days before its own that a unit reads
            units_from='order_book',                       the input whose partitions are the units, not all
            closed_by='trades',                            see lake_is_closed
            keeps_order=true,                              rows come by `order_by` already: checked, not sorted
            time_column='ts_event',                        whose range goes to meta.json
        )

    Steps: describe the model, plan and build it (ticklake.lake.materialization), report, replace the view
    if it is not as it should be, document it, commit.
#}
{% materialization lake, adapter='duckdb', supported_languages=['sql', 'python'] %}

    {%- set target_relation = this.incorporate(type='view') -%}
    {%- set existing_relation = load_cached_relation(this) -%}
    {#- dbt has a `lookback` of its own, for microbatches, which is a number. -#}
    {%- set lookback = config.get('lookback') if config.get('lookback') is mapping else {} -%}
    {%- set columns = lake_input(model).columns if model.columns else {} -%}
    {%- set spec = {
        'name': model.name,
        'language': model.language,
        'location': model.schema ~ '/' ~ model.alias,
        'columns': columns,
        'config': {
            'partition_by': config.require('partition_by'),
            'unit_by': config.get('unit_by'),
            'order_by': config.require('order_by'),
            'lookback': lookback,
            'closed_by': config.get('closed_by'),
            'units_from': config.get('units_from'),
            'keeps_order': config.get('keeps_order', false),
            'time_column': config.get('time_column', 'ts_event'),
            'columns': columns,
            'meta': config.get('meta', {}),
            'python': lake_python_config(model),
            'views': lake_views_read(model),
        },
        'inputs': lake_inputs(model, lookback),
        'seeds': lake_seeds(model),
        'compiled_code': compiled_code,
        'path': model.original_file_path,
        'code': compiled_code if model.language == 'sql' else model.raw_code,
        'selection': lake_selection(),
        'full_refresh': should_full_refresh(),
        'is_dry_run': flags.EMPTY,
    } -%}

    {%- do lake_refuse_plain_refs(model, spec.inputs) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {%- set result = lake_call('build_model', spec) -%}

    {%- do store_raw_result(
        'main', message=result.message, code='OK', rows_affected=result.rows
    ) -%}

    {%- if not result.is_plan -%}
        {%- if existing_relation is not none and not existing_relation.is_view -%}
            {%- do drop_relation_if_exists(existing_relation) -%}
        {%- endif -%}
        {%- set own = lake_input(model) -%}
        {%- do lake_put_view(
            target_relation,
            lake_view(own, own.layouts if result.has_partitions else []),
            model.description if config.persist_relation_docs() else '',
            result.view_comment,
            [result.code, model.columns, config.persist_column_docs()],
            documented=model
        ) -%}
        {{ run_hooks(post_hooks, inside_transaction=True) }}
        {% do adapter.commit() %}
        {{ run_hooks(post_hooks, inside_transaction=False) }}
    {%- endif -%}

    {{ return({'relations': [target_relation]}) }}

{% endmaterialization %}
