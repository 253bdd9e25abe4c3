-- Generated events of an imaginary shop: as many random rows for any day as the parameter events_per_partition says,
-- always the same ones for the same day; a larger number adds rows and keeps the others. The randomness is the MD5 of
-- day and number, four slices of eight hexadecimal digits: random() repeats on one thread only, and what hash() returns
-- may change from one version to the next.
with draws as (
    select
        event_date,
        number,
        md5(event_date || '/' || number) as digits
    from (
        select cast(midnight as date) as event_date
        from generate_series(date '2020-01-01', date '2099-12-31', interval 1 day) as days(midnight)
    )
    cross join generate_series(1, getvariable('events_per_partition')) as numbers(number)
)

select
    event_date,
    cast(strftime(event_date, '%Y%m%d') as bigint) * 1_000_000 + number as event_id,
    event_date + to_milliseconds(cast('0x' || digits[1:8] as bigint) % 86_400_000) as event_time,
    1 + cast('0x' || digits[9:16] as bigint) % 5_000 as user_id,
    ['view', 'view', 'view', 'view', 'search', 'search', 'add_to_cart', 'purchase'][
        1 + cast('0x' || digits[17:24] as bigint) % 8
    ] as event_type,
    cast(cast('0x' || digits[25:32] as bigint) % 10_000 * 0.01 as decimal(6, 2)) as value
from draws
