-- Exists for the benchmark only: a table that follows two others.
select day, sum(by_ten.value) + (select sum(value) from small_by_hundred as other where other.day = by_ten.day) as value
from small_by_ten as by_ten
group by day
