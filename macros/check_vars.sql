{#
    Refuses vars that no model can be built with, before anything is built: one sentence names the var,
    its value and what is allowed.
#}
{% macro check_vars() %}
    {%- set whole = {
        'bars_per_day': 1, 'book_levels': 1, 'vpin_buckets': 1, 'max_gaps': 0, 'gap_seconds': 1,
        'max_gap_s': 1, 'warmup_s': 1,
    } -%}
    {%- for name, least in whole.items() -%}
        {%- do whole_var(name, least) -%}
    {%- endfor -%}
    {%- set numbers = {
        'max_crossed_share': 1, 'max_clock_skew_s': 1e9, 'max_silence_s': 1e9, 'max_mark_age_s': 1e9,
        'max_funding_age_s': 1e9,
    } -%}
    {%- for name, most in numbers.items() -%}
        {%- set value = var(name) -%}
        {%- if value is not number or value is boolean or not 0 <= value <= most -%}
            {%- do refuse_var(name, 'a number from 0 to ' ~ most | int) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- do bar_lengths() -%}
    {%- do distinct_numbers('horizons_s', is_whole=true) -%}
    {%- for name in ('half_lives_s', 'depth_bps', 'sweep_sizes') -%}
        {%- do distinct_numbers(name) -%}
    {%- endfor -%}
    {%- set named = var('drop_repeats_of') -%}
    {%- if named is string or named is mapping or named is not sequence or named | reject('string') | list -%}
        {%- do refuse_var('drop_repeats_of', "a list of exchanges, ['*'] for all, [] for none") -%}
    {%- endif -%}
    {%- set regression_s = 300 -%}
    {%- set needed = [
        (var('horizons_s') + [regression_s]) | max + var('max_gap_s'), 40 * (var('half_lives_s') | max)
    ] | max -%}
    {%- if var('warmup_s') < needed -%}
        {%- do refuse_var(
            'warmup_s',
            'at least the longest horizon (or the ' ~ regression_s ~ ' s of regressions) and max_gap_s '
            ~ 'before it, and 40 half-lives: ' ~ needed
        ) -%}
    {%- endif -%}
{% endmacro %}


{# Refuses a var that is not a whole number from `least` on. #}
{% macro whole_var(name, least) %}
    {%- set value = var(name) -%}
    {%- if value is not integer or not least <= value <= 1000000000 -%}
        {%- do refuse_var(name, 'a whole number from ' ~ least ~ ' to 1000000000') -%}
    {%- endif -%}
{% endmacro %}


{# Stops with a sentence about a var. #}
{% macro refuse_var(name, allowed) %}
    {%- do exceptions.raise_compiler_error(
        'The var ' ~ name ~ ' is ' ~ tojson(var(name), default=var(name) | string) ~ '. Allowed: ' ~ allowed ~ '.'
    ) -%}
{% endmacro %}


{# Refuses a var that is not a list of distinct numbers above 0, at least one. #}
{% macro distinct_numbers(name, is_whole=false) %}
    {%- set values = var(name) -%}
    {%- set found = [] -%}
    {%- if values is iterable and values is not string and values is not mapping -%}
        {%- for value in values if value is number and value is not boolean and 0 < value <= 1e9 -%}
            {%- if value is integer or not is_whole -%}{%- do found.append(value) -%}{%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if not found or found | unique | list | length != values | length -%}
        {%- do refuse_var(
            name,
            'a list of at least one ' ~ ('whole ' if is_whole else '') ~ 'number above 0, each once'
        ) -%}
    {%- endif -%}
{% endmacro %}
