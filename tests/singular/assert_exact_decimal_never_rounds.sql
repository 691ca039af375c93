{# exact_decimal keeps every digit of these values, and refuses those it could only round. #}
with

examples as (

    select
        unnest([
            '0.0', '-0.5', '100', '0.0000000001', '-0.000000000001', '9999999999.99999999',
            '-999999999.99999999', '99999999999.99999999', '0.123456789', '1.50000000000000000',
            '12345678901234567890123456.123456789012', '0.1234567890123', '1.5e-9', '1.5E-9',
            '1e-13', '', 'NaN', '1,5', '123456789012345678901234567'
        ]) as given,
        unnest([
            '0.000000000000', '-0.500000000000', '100.000000000000', '0.000000000100',
            '-0.000000000001', '9999999999.999999990000', '-999999999.999999990000',
            '99999999999.999999990000', '0.123456789000', '1.500000000000',
            '12345678901234567890123456.123456789012', null, null, null,
            null, null, null, null, null
        ]) as expected

),

converted as (

    select
        given,
        expected,
        cast(try({{ exact_decimal('given') }}) as varchar) as found
    from examples

)

select *
from converted
where found is distinct from expected
