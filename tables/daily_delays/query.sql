-- How punctual each airline was, one row a day and airline.
--
-- Means are sums of whole minutes divided once, so they do not depend on the order in which threads add.
select
    flight_date,
    carrier,
    count(*) as flights,
    count(*) filter (cancelled) as cancelled,
    count(*) filter (not cancelled) as departed,
    -- Late is what the US Department of Transportation calls so: 15 minutes or more.
    count(*) filter (departure_delay_minutes >= 15) as departed_late,
    count(*) filter (arrival_delay_minutes >= 15) as arrived_late,
    -- Null where no flight left, or of none it is known when it arrived.
    round(sum(departure_delay_minutes) / count(departure_delay_minutes), 2) as mean_departure_delay_minutes,
    median(departure_delay_minutes) as median_departure_delay_minutes,
    -- Of fewer flights than departed: that of diverted ones is unknown.
    count(arrival_delay_minutes) as arrivals_known,
    round(sum(arrival_delay_minutes) / count(arrival_delay_minutes), 2) as mean_arrival_delay_minutes,
    median(arrival_delay_minutes) as median_arrival_delay_minutes
from flights
group by flight_date, carrier
