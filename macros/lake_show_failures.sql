{#
    Prints the first rows that a data test has returned, if it has not passed: which exchange, symbol,
    day and row it is about. Of many columns it takes those that say where the row is, and those that
    the test names.
#}
{% macro lake_show_failures(query) -%}
    {%- set failures, should_warn, should_error = load_result('main').table.rows[0] -%}
    {%- if should_warn or should_error -%}
        {%- set found = run_query('select * from (\n' ~ query ~ '\n) as failures limit 3') -%}
        {%- set names = found.column_names | list -%}
        {%- set keys = [
            'exchange', 'symbol', 'interval', 'date', 'month', 'bar_seconds', 'bar_type', 'threshold',
            'row_seq', 'trade_seq', 'bar_seq', 'gap_seq', 'block_number', 'event_index', 'ts_event',
            'ts_open', 'open_time', 'segment', 'segment_row'
        ] -%}
        {%- set text = tojson(model.test_metadata.kwargs) if model.test_metadata else none -%}
        {%- set shown = keys | select('in', names) | list -%}
        {%- for name in names if name not in keys -%}
            {%- set is_place = name in ('filename', 'file_row_number') and 'exchange' in names -%}
            {%- if not is_place and (text is none or modules.re.search('\\b' ~ name ~ '\\b', text)) -%}
                {%- do shown.append(name) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for row in found.rows -%}
            {%- set values = [] -%}
            {%- for name in shown or names -%}
                {%- do values.append(name ~ '=' ~ row[name]) -%}
            {%- endfor -%}
            {%- do log('  ' ~ model.name ~ ': ' ~ values | join(', '), info=true) -%}
        {%- endfor -%}
        {%- set others = failures - found.rows | length -%}
        {%- if others > 0 -%}
            {%- do log('  ' ~ model.name ~ ': and ' ~ others ~ ' more', info=true) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
