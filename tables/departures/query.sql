-- Each airport's departures as its board would show them, one row a flight; a partition is a day at one airport.
--
-- It reads the raw files and not the table flights, so it can be loaded before that one is.
select
    flight_date,  -- of the scheduled departure, local
    origin,
    sched_dep_time as scheduled_departure_hhmm,  -- 517 is 5:17
    carrier,
    flight,
    dest,
    tailnum,
    dep_time as departure_hhmm,  -- null if cancelled
    dep_delay as departure_delay_minutes
from raw_flights
