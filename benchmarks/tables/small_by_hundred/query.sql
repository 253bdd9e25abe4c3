-- Exists for the benchmark only: a table that follows.
select day, n % 100 as part, sum(value) as value from small group by all
