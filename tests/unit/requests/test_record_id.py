"""Ids: the name of a dropped file leads to its records, and to few others."""

from __future__ import annotations

import pytest

from reloads.requests.record_id import make_record_id, matcher_of_records

LONG = "reload-of-many-flights-that-the-airline-sent-late-2024-01-0"


def id_of(file: str, table: str = "sales") -> str:
    return make_record_id(table, mode="landing", origin="this drop", file=file)


@pytest.mark.parametrize("file", ["a.json", "June & July.json", f"{LONG}1.json", "🎉.json", "a.b.json", "[a]*.json"])
def test_a_record_of_a_file_lies_under_a_name_that_matches(file: str) -> None:
    for table in ("a", "daily_delays"):
        assert matcher_of_records(file)(f"{id_of(file, table)}.json")


@pytest.mark.parametrize(
    ("file", "other"),
    [("a.json", "a-b.json"), ("a-b.json", "a.json"), (f"{LONG}1.json", f"{LONG}2.json"), ("🎉.json", "🚀.json")],
)
def test_a_record_of_another_file_does_not_match(file: str, other: str) -> None:
    assert not matcher_of_records(file)(f"{id_of(other)}.json")


@pytest.mark.parametrize(
    ("file", "name"),
    [(f"{LONG}1.json", f"{LONG[:40]}-sales-0123456789ab.json"), ("🎉.json", "landing-sales-0123456789ab.json")],
)
def test_a_record_from_before_long_names_had_a_digest_matches(file: str, name: str) -> None:
    assert matcher_of_records(file)(name)
    assert not matcher_of_records(file)(f"x{name}")
