-- Every flight that was to leave New York City in 2013, one row a flight; cancelled ones are kept.
select
    flight_date,  -- of the scheduled departure, local
    carrier,
    flight,
    tailnum,
    origin,
    dest,
    -- Clock times stay the numbers that were delivered (517 is 5:17, local at that airport). They do not say which day
    -- it was: 2400 occurs beside 1, flights leave and land after midnight, and the time zone of dest is not in this
    -- source.
    sched_dep_time as scheduled_departure_hhmm,
    dep_time as departure_hhmm,
    dep_delay as departure_delay_minutes,
    sched_arr_time as scheduled_arrival_hhmm,
    arr_time as arrival_hhmm,
    arr_delay as arrival_delay_minutes,  -- null for some flights that did leave, too
    dep_time is null as cancelled,
    air_time as air_time_minutes,
    distance as distance_miles,
    -- A timestamp without time zone that is UTC by its name: with one, casts and comparisons would depend on the time
    -- zone of whoever runs the query, and so would the rows.
    time_hour as scheduled_hour_utc
from raw_flights
