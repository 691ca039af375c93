{# Gives back the lease on the lake. Runs after a run, whatever its outcome. #}
{% macro lake_end_run() %}
    {%- if execute -%}{%- do lake_call('end_run') -%}{%- endif -%}
{% endmacro %}
