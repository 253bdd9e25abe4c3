"""Many requests from many at once, with bad ones among them."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

from reloads.days import Days
from tests.support.pipeline import Pipeline
from tests.support.tables import ROWS_A_DAY

FIRST = date(2024, 1, 1)
BAD = (
    ('{"table": "crowd", "start_da', "the file is not JSON"),
    ('{"table": "crowds", "start_date": "2024-01-01"}', "known tables are"),
    ('{"table": "crowd", "start_date": "2024-1-1"}', "is not a day of the form YYYY-MM-DD"),
    ('{"table": "crowd", "start_date": "2024-01-02", "end_date": "2024-01-01"}', "swap them"),
    ("[]", "the list is empty"),
)


def test_of_a_hundred_requests_of_four_writers_each_good_one_is_done_and_each_bad_one_explained(
    pipeline: Pipeline,
) -> None:
    def write(writer: int) -> None:
        chance = random.Random(writer)
        for number in range(25):
            name = f"crowd-{writer}-{number}.json"
            if number % 5 == 4:
                pipeline.drop_text(name, BAD[number // 5][0])
                continue
            first = FIRST + timedelta(days=chance.randrange(28))
            pipeline.drop(name, table="crowd", start_date=str(first), end_date=str(first + timedelta(days=2)))

    with ThreadPoolExecutor(4) as writers:
        list(writers.map(write, range(4)))

    numbers = [(writer, number) for writer in range(4) for number in range(25)]
    good = [f"crowd-{writer}-{number}.json" for writer, number in numbers if number % 5 != 4]
    records = pipeline.wait_for_done(*good)
    assert all(record.published == record.days for record in records)
    for writer, number in numbers:
        if number % 5 == 4:
            assert BAD[number // 5][1] in pipeline.rejection(f"crowd-{writer}-{number}")

    days = Days.of(day for record in records for day in record.days)
    assert pipeline.rows("crowd") == {str(day): ROWS_A_DAY for day in days}
    assert not [path for path in pipeline.landing.glob("*.json") if path.name.startswith("crowd-")]
    # The requests that were taken from the drop folder together say so by their time: for them a day is rewritten once.
    for day, times in pipeline.times_published("crowd").items():
        askers = [record for record in records if date.fromisoformat(day) in record.days]
        assert times == len({record.runs for record in askers}), f"{day} was rewritten for nobody"
        assert times <= len({record.accepted_at for record in askers}), f"{day} was rewritten too often"
