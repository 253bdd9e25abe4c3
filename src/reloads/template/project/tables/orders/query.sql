-- Orders of an imaginary shop, always the same ones for the same day. They need no files, so that the project works at
-- once. A real table reads some, as in: from read_csv(getvariable('source') || '/orders/*.csv')
select
    cast(midnight as date) as order_date,
    number as order_number,
    ['north', 'east', 'south', 'west'][1 + number % 4] as region,
    cast(5 + (number * 37 + dayofyear(midnight) * 11) % 200 as decimal(8, 2)) as amount
from generate_series(date '2025-01-01', date '2099-12-31', interval 1 day) as days(midnight)
cross join generate_series(1, 100) as numbers(number)
