{#
    Raw segments that cannot be used: what is built lacks their rows. `ticklake quarantine show` says
    what is wrong with one; land it again, or `retry` or `drop` it.

    It names all models that read raw segments, so that it runs after them, and tables that nothing is
    built from, so that nothing waits for it.
#}
{{ config(meta={'reads_quarantine': true}) }}
-- depends_on: {{ ref('fills') }}
-- depends_on: {{ ref('funding_rates') }}
-- depends_on: {{ ref('klines') }}
-- depends_on: {{ ref('mark_prices') }}
-- depends_on: {{ ref('order_book') }}
-- depends_on: {{ ref('tickers') }}
-- depends_on: {{ ref('prints') }}
-- depends_on: {{ ref('time_bars') }}
-- depends_on: {{ ref('wallet_daily') }}
-- depends_on: {{ ref('quality') }}
-- depends_on: {{ ref('kline_quality') }}

select
    path,
    error_type,
    message
from {{ lake_quarantine() }}
