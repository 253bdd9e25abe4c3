"""The tables of the integration tests, one for each thing that is tried."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.tables import BIG, ScenarioTable

YEAR_ROWS = 100

# A time, because what comes out as it was is not published.
ROWS_OF_DAYS = f"""\
select day, number, sum(cast('0x' || md5(day || '/' || number || '/' || step)[1:4] as bigint))::bigint as value,
    now() as rewritten_at
from (
    select cast(midnight as date) as day
    from generate_series(date '2023-01-01', date '2025-12-31', interval 1 day) as days(midnight)
)
cross join generate_series(1, {YEAR_ROWS}) as numbers(number)
cross join generate_series(1, {{steps}}) as steps(step)
group by day, number
"""

# Some milliseconds of work for each day, so that a year of it lasts long enough for something to happen.
YEAR = ROWS_OF_DAYS.format(steps=200)

# What it gives is another thing for each request, and the same for each try of a batch of it. Its batches last longer,
# so that all workers are at one at the same time.
YEAR_OF_WORKERS = ROWS_OF_DAYS.format(steps=600).replace("now() as rewritten_at", "getvariable('round') as round")

TABLES: Mapping[str, ScenarioTable] = {
    "dropped": ScenarioTable(),
    "by_hand": ScenarioTable(),
    "by_page": ScenarioTable(),
    "foreign": ScenarioTable(),
    "crowd": ScenarioTable(),
    # From 2023 on, so that the year asked for has neighbours.
    "year": ScenarioTable(
        YEAR,
        {"partitions_per_run": 150, "parallelism": 2, "days_per_batch": 10, "mb_per_batch": 0},
        first_day="2023-01-01",
    ),
    "fleet": ScenarioTable(
        YEAR_OF_WORKERS,
        {
            "partitions_per_run": 400,
            "parallelism": 4,
            "days_per_batch": 10,
            "mb_per_batch": 0,
            "parameters.round.type": "integer",
            "parameters.round.default": 0,
        },
    ),
    "probe": ScenarioTable(),
    "room": ScenarioTable(BIG),
}
