-- A file that was delivered twice into one day.
create view flights_are_unique as
select flight_date, count(*) as found, 1 as expected
from new
group by flight_date, origin, carrier, flight, scheduled_departure_hhmm
having count(*) > 1;

create view origins_are_known as
select flight_date, origin as found, 'EWR, JFK or LGA' as expected
from new
where origin is null or origin not in ('EWR', 'JFK', 'LGA');

-- Against what is published, so a file that was cut short shows; a first load has nothing to compare with.
create view rows_are_not_halved as
select
    flight_date,
    (select count(*) from new where new.flight_date = published.flight_date) as found,
    'at least half of ' || published.flights as expected
from (select flight_date, count(*) as flights from old group by flight_date) as published
where 2 * found < published.flights;
