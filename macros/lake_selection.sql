{# What the vars narrow a run to. #}
{% macro lake_selection() %}
    {{ return({
        'from': var('from', none) | string if var('from', none) is not none else none,
        'to': var('to', none) | string if var('to', none) is not none else none,
        'exchanges': var('exchanges', none),
        'symbols': var('symbols', none),
    }) }}
{% endmacro %}
