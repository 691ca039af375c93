{#
    Loads the seeds that a new DuckDB file does not have and that the run does not load itself: models
    that read them can then be built alone. Seeds need a type for each of their columns.
#}
{% macro lake_load_seeds() %}
    {%- set loaded = [] -%}
    {%- for schema, name in adapter.execute(
        'select schema_name, table_name from duckdb_tables() where database_name = current_database()',
        fetch=true
    )[1].rows -%}
        {%- do loaded.append(schema ~ '.' ~ name) -%}
    {%- endfor -%}
    {%- for node in graph.nodes.values() if node.resource_type == 'seed' -%}
        {%- set place = node.schema ~ '.' ~ node.alias -%}
        {%- set types = node.config.column_types -%}
        {%- if place not in loaded and node.unique_id not in selected_resources and types -%}
            {%- set listed = [] -%}
            {%- for column, type in types.items() -%}
                {%- do listed.append("'" ~ column ~ "': '" ~ type ~ "'") -%}
            {%- endfor -%}
            {%- set file = node.root_path ~ '/' ~ node.original_file_path -%}
            {%- do run_query('create schema if not exists ' ~ node.schema) -%}
            {%- do run_query(
                'create table ' ~ place ~ " as select * from read_csv('" ~ adapter.escape_sql_string(file)
                ~ "', header = true, nullstr = '', types = {" ~ listed | join(', ') ~ '})'
            ) -%}
        {%- endif -%}
    {%- endfor -%}
{% endmacro %}
