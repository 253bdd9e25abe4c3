-- Readings of imaginary stations, one an hour, always the same ones for the same day.
select
    cast(hour as date) as reading_date,
    hour as read_at,
    station,
    round(10 + 8 * sin(radians(15 * (extract('hour' from hour) - 8))) + station, 1) as temperature
from generate_series(timestamp '2025-01-01', timestamp '2039-12-31 23:00', interval 1 hour) as hours(hour)
cross join generate_series(1, getvariable('stations')) as stations(station)
