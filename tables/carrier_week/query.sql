-- Each airline over the seven days that end with a day, one row a day and airline.
--
-- The days are those that have flights at all, of whichever airline; the airlines of a day are those with a flight in
-- its seven days, on the last of them or not. The first days of the table have shorter weeks. What a day's rows are
-- depends on its own seven days and not on which other days are rewritten with it: those that are read for the week of
-- another day have rows here too, of weeks cut short, but nobody asks for them.
with days as (
    select distinct flight_date as week_ending
    from flights
),

carrier_days as (
    select
        flight_date,
        carrier,
        count(*) as flights,
        count(*) filter (cancelled) as cancelled,
        count(departure_delay_minutes) as departures,
        sum(departure_delay_minutes) as departure_delay_minutes,
        count(arrival_delay_minutes) as arrivals_known,
        sum(arrival_delay_minutes) as arrival_delay_minutes
    from flights
    group by flight_date, carrier
)

select
    days.week_ending,
    carrier,
    count(*) as days_with_flights,
    cast(sum(flights) as bigint) as flights,
    cast(sum(cancelled) as bigint) as cancelled,
    -- Means over flights, not over days, and null where no flight left; sums of whole minutes divided once.
    round(sum(departure_delay_minutes) / sum(departures), 2) as mean_departure_delay_minutes,
    round(sum(arrival_delay_minutes) / sum(arrivals_known), 2) as mean_arrival_delay_minutes
from days
join carrier_days
    on carrier_days.flight_date between days.week_ending - 6 and days.week_ending
group by days.week_ending, carrier
