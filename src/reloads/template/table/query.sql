-- One SELECT that defines all of the table, as a view would. A request for some days reads and writes these only.
-- It may read other tables by their names, and raw files: from read_csv(getvariable('source') || '/*.csv')
select
    cast(midnight as date) as day,
    'something' as name,
    1 as amount
from generate_series(date '2025-01-01', date '2099-12-31', interval 1 day) as days(midnight)
