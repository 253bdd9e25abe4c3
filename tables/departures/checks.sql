create view origins_are_known as
select flight_date, origin as found, 'EWR, JFK or LGA' as expected
from new
where origin is null or origin not in ('EWR', 'JFK', 'LGA');

-- The real ones are 43 minutes early to 21.7 hours late.
create view delays_are_possible as
select flight_date, departure_delay_minutes as found, '-60 to 2,880' as expected
from new
where departure_delay_minutes not between -60 and 2_880;

-- A flight that left says how late, and one that did not says nothing.
create view delays_belong_to_departures as
select flight_date, departure_delay_minutes as found, departure_hhmm as expected
from new
where (departure_hhmm is null) <> (departure_delay_minutes is null);
