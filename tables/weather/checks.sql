-- One row an hour and airport; twice the same hour would count every flight of it twice.
create view hours_are_unique as
select observation_date, count(*) as found, 1 as expected
from new
group by observation_date, origin, observation_hour_utc
having count(*) > 1;

create view wind_is_possible as
select observation_date, wind_speed_mph as found, 'at most 250' as expected
from new
where wind_speed_mph > 250;
