-- Exists for the benchmark only: 1,000 rows a day, so that what is timed is everything but the rows.
select cast(midnight as date) as day, n, n + shift as value
from generate_series(date '2025-01-01', date '2025-12-31', interval 1 day) as days(midnight)
cross join generate_series(1, 1000) as numbers(n)
cross join raw_shift
