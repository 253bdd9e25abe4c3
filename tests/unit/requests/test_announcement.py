"""Announcements: one event a table, however many requests there are."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.requests.announcement import (
    Announcement,
    announce,
    look_again_extra,
    publication_extra,
)
from reloads.requests.record import Record

NOW = datetime(2024, 7, 1, tzinfo=UTC)
DAYS = st.dates(date(2024, 1, 1), date(2024, 12, 31))


@st.composite
def records(draw: st.DrawFn) -> Record:
    days = Days.of(draw(st.lists(DAYS, min_size=1, max_size=3)))
    table = draw(st.sampled_from(["sales", "visits"]))
    return Record(id=draw(st.uuids().map(str)), mode="manual", table=table, days=days, accepted_at=NOW, reason="late")


def test_the_extra_names_the_request_and_the_range_that_holds_its_days() -> None:
    days = Days.parse(["2024-06-01..2024-06-14", "2024-06-16..2024-06-30"])
    record = Record(id="r", mode="manual", table="sales", days=days, accepted_at=NOW, reason="late", requested_by="ada")
    assert Announcement.of(record).extra() == {
        "about": "2024-06-01..2024-06-14, 2024-06-16..2024-06-30 of sales (by a form, ada): late",
        "table": "sales",
        "start_date": "2024-06-01",
        "end_date": "2024-06-30",
        "mode": "manual",
        "request": "r",
        "requests": 1,
        "reason": "late",
        "requested_by": "ada",
    }


def test_the_extra_tells_how_many_requests_there_are_besides() -> None:
    first = Record(id="a", mode="landing", table="sales", days=Days.parse(["2024-06-01"]), accepted_at=NOW)
    second = Record(id="b", mode="landing", table="sales", days=Days.parse(["2024-06-09"]), accepted_at=NOW)
    [announcement] = announce([first, second, second])
    about = "2024-06-01 of sales (by a file); and 2 more, 2024-06-01 to 2024-06-09"
    assert announcement.extra()["about"] == about


def test_whoever_reads_the_extra_reads_the_sentence_first() -> None:
    # Airflow's page sorts the keys.
    record = Record(id="a", mode="daily", table="sales", days=Days.parse(["2024-06-01"]), accepted_at=NOW)
    publication = publication_extra("sales", record.days, requests=[], rows=1, commit="1@log")
    for extra in (Announcement.of(record).extra(), publication, look_again_extra("sales")):
        assert min(extra) == "about"


@given(st.lists(records(), max_size=8))
def test_each_table_has_one_announcement_that_holds_all_its_days_and_names_its_first_request(
    asked: list[Record],
) -> None:
    announcements = announce(asked)
    assert [one.table for one in announcements] == list(dict.fromkeys(record.table for record in asked))
    for one in announcements:
        of_table = [record for record in asked if record.table == one.table]
        days = sorted(day for record in of_table for day in record.days)
        assert (one.first, one.last) == (days[0], days[-1])
        assert (one.request, one.requests) == (of_table[0].id, len(of_table))


def test_a_publication_names_its_ranges() -> None:
    published = Days.parse(["2024-06-01..2024-06-03", "2024-06-30"])
    extra = publication_extra("sales", published, requests=["first", "second"], rows=12, commit="7@log")
    assert extra == {
        "about": "2024-06-01..2024-06-03, 2024-06-30 of sales changed; rows of these days now: 12",
        "table": "sales",
        "start_date": "2024-06-01",
        "end_date": "2024-06-30",
        "ranges": published.texts(),
        "rows": 12,
        "request": "first",
        "requests": 2,
        "commit": "7@log",
    }
