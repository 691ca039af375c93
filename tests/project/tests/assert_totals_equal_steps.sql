{{ config(meta={'by_unit': true}) }}

with steps as (
    select exchange, date, sum(value) as total from {{ lake_ref('steps') }} group by exchange, date
),

totals as (
    select exchange, date, sum(total) as total from {{ lake_ref('totals') }} group by exchange, date
)

select * from steps full join totals using (exchange, date)
where steps.total is distinct from totals.total
