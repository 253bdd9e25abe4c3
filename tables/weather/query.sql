-- The weather at the three airports, one row an hour.
--
-- The data are not whole: they begin at 1 o'clock on 2013-01-01 and end at 18 o'clock on 2013-12-30, and between them
-- 35 hours are missing at one airport or more. So 2013-12-31 has no row, and whoever joins this table must keep what
-- finds no weather.
select
    observation_date,  -- local
    origin,
    -- UTC by its name, as in flights, and the column to join by: 2013-11-03 has the local hour 1 twice (and lacks 0),
    -- 2013-03-10 has no 2.
    time_hour as observation_hour_utc,
    hour as observation_hour_local,
    -- Decimals, because what was delivered are decimals; wind is knots turned into miles, with a double's digits.
    cast(temp as decimal(5, 2)) as temperature_fahrenheit,
    cast(dewp as decimal(5, 2)) as dew_point_fahrenheit,
    cast(humid as decimal(5, 2)) as relative_humidity_percent,
    wind_dir as wind_direction_degrees,  -- 0 is calm, 360 is north
    cast(wind_speed as decimal(6, 2)) as wind_speed_mph,  -- once 1,048.36: kept, and a check warns of it
    cast(wind_gust as decimal(6, 2)) as wind_gust_mph,  -- null in an hour without gusts
    cast(precip as decimal(4, 2)) as precipitation_inches,
    cast(pressure as decimal(5, 1)) as sea_level_pressure_millibars,
    cast(visib as decimal(4, 2)) as visibility_miles  -- 10 is the most that is reported
from raw_weather
