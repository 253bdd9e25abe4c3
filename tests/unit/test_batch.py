"""A batch: it comes through XCom as it was, and its label names its days in a few words."""

from __future__ import annotations

import json

import pytest

from reloads.batch import Batch
from reloads.days import Days
from reloads.partition_filter import PartitionFilter


def test_a_batch_of_one_day_is_a_small_value() -> None:
    batch = Batch(Days.parse(["2025-01-01"]), requests={"r": Days.parse(["2025-01-01"])})
    assert batch.to_json() == {
        "label": "2025-01-01",
        "days": ["2025-01-01"],
        "partition_filter": {"key_filters": [], "slice_number": 0, "slice_count": 1, "excluded": []},
        "parameters": {},
        "requests": {"r": ["2025-01-01"]},
        "no_cascade_days": [],
        "number": 0,
        "batch_count": 1,
        "minutes": None,
        "planned_at": "",
    }


def test_a_batch_survives_xcom() -> None:
    batch = Batch(
        Days.parse(["2025-01-01..2025-01-03"]),
        partition_filter=PartitionFilter(({"origin": ("EWR", "JFK")},), 1, 2, ({"origin": ("LGA",)},)),
        parameters={"size": 5},
        requests={"r": Days.parse(["2025-01-01"]), "s": Days.parse(["2025-01-02..2025-01-03"])},
        no_cascade_days=Days.parse(["2025-01-02"]),
        number=3,
        batch_count=4,
        planned_at="7@8f0c2d1e",
    )
    value = batch.to_json()
    assert json.loads(json.dumps(value)) == value
    assert Batch.from_json(json.loads(json.dumps(value))) == batch


def test_a_batch_that_an_earlier_release_planned_is_understood() -> None:
    batch = Batch(Days.parse(["2025-01-01"]), requests={"r": Days.parse(["2025-01-01"])})
    value = batch.to_json()
    del value["planned_at"]
    assert Batch.from_json(value) == batch


@pytest.mark.parametrize(
    ("ranges", "text"),
    [
        (["2025-01-01"], "2025-01-01"),
        (["2025-01-01..2025-01-31"], "2025-01-01..2025-01-31 (31 days)"),
        (["2025-01-01", "2025-01-03"], "2025-01-01, 2025-01-03 (2 days)"),
        ([f"2025-01-0{n}" for n in (1, 3, 5, 7)], "2025-01-01, 2025-01-03, 2025-01-05, … (4 days)"),
    ],
    ids=["a day", "a range", "two days", "many"],
)
def test_a_label_names_the_days(ranges: list[str], text: str) -> None:
    assert Batch(Days.parse(ranges)).label == text


def test_a_label_names_the_part_of_the_keys() -> None:
    origin = PartitionFilter(({"origin": ("EWR",)},), 0, 2)
    assert Batch(Days.parse(["2025-01-01"]), origin).label == "2025-01-01, origin EWR, part 1 of 2"
