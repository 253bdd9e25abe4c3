-- Delays by the weather at the scheduled hour of departure, one row a day, airport and kind of weather.
--
-- The first kind that fits counts: low visibility, then rain or snow, then wind. Every flight is in exactly one row;
-- 'unknown' are those of hours without an observation, 2013-12-31 as a whole among them.
with flights_and_weather as (
    select
        f.flight_date,
        f.origin,
        f.cancelled,
        f.departure_delay_minutes,
        case
            when w.origin is null then 'unknown'
            when w.visibility_miles < 3 then 'low visibility'  -- where flying by sight ends
            when w.precipitation_inches > 0 then 'rain or snow'
            when w.wind_speed_mph >= 20 then 'wind'
            else 'fair'  -- an hour whose wind was not measured, too
        end as weather_class
    from flights as f
    left join weather as w
        on w.origin = f.origin
        and w.observation_hour_utc = f.scheduled_hour_utc
        -- Follows from the hour; it is here so that only the same day's weather is read.
        and w.observation_date = f.flight_date
)

select
    flight_date,
    origin,
    weather_class,
    count(*) as flights,
    count(*) filter (cancelled) as cancelled,
    -- Null where none left. A sum of whole minutes divided once, so it does not depend on the order of adding.
    round(sum(departure_delay_minutes) / count(departure_delay_minutes), 2) as mean_departure_delay_minutes
from flights_and_weather
group by flight_date, origin, weather_class
