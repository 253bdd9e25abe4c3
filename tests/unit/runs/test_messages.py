"""What messages say: counts, reasons and a link, and nothing that a terminal or a chat would take for a command."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from reloads.days import Days
from reloads.outcome import CheckResult, Failure, Outcome
from reloads.requests.end_note import end_note
from reloads.requests.outbox import Note
from reloads.requests.record import Record
from reloads.runs.messages import Message, compose

NOW = datetime(2025, 2, 1, 12, tzinfo=UTC)
JANUARY = Days.between(date(2025, 1, 1), date(2025, 1, 31))
PAGE = "https://airflow.example.org"


def days(*texts: str) -> Days:
    return Days.parse(texts)


def told(outcome: Outcome, *, asked: Days = JANUARY, **fields: object) -> Message:
    record = Record.model_validate(
        {"id": "r1", "mode": "landing", "table": "flights", "days": asked, "accepted_at": NOW, **fields}
    )
    ended = record.with_outcome(outcome, run="run/1", now=NOW)
    return compose(end_note(ended, "failed"), page_url=PAGE)


def check_refuses(refused: Days) -> Outcome:
    check = CheckResult(check="positive", severity="error", days=refused, rows=3)
    failures = tuple(Failure(days=Days.of([day]), error=check.sentence()) for day in refused)
    return Outcome(failed=failures, published=JANUARY - refused, checks=(check,))


@pytest.mark.parametrize(
    ("outcome", "asked", "title"),
    [
        pytest.param(Outcome(published=JANUARY), JANUARY, "flights: 2025-01-01..2025-01-31 done", id="done"),
        pytest.param(
            Outcome(failed=(Failure(days=JANUARY, error="no"),)), JANUARY, "flights: 31 of 31 days failed", id="failed"
        ),
        pytest.param(
            Outcome(failed=(Failure(days=days("2025-01-01"), error="no"),)),
            days("2025-01-01"),
            "flights: 2025-01-01 failed",
            id="one day",
        ),
        pytest.param(
            check_refuses(days("2025-01-01..2025-01-30")),
            JANUARY,
            "flights: 30 of 31 days refused by a check",
            id="refused",
        ),
        pytest.param(
            check_refuses(days("2025-01-01"))
            + Outcome(failed=(Failure(days=days("2025-01-02..2025-01-04"), error="no"),)),
            JANUARY,
            "flights: 4 of 31 days failed, 1 of them refused by a check",
            id="both",
        ),
    ],
)
def test_the_title_counts_the_days(outcome: Outcome, asked: Days, title: str) -> None:
    assert told(outcome, asked=asked).title == title


def test_the_text_says_how_far_it_came_who_asked_why_it_failed_and_where_to_look() -> None:
    outcome = Outcome(
        failed=(Failure(days=days("2025-01-02"), error="no room"),), published=JANUARY - days("2025-01-02")
    )
    message = told(outcome, requested_by="ada", reason="late files")
    assert message.body.splitlines() == [
        "Request r1 failed: 30 of 31 days published, 1 failed",
        "Asked for by ada: late files",
        "2025-01-02: no room",
        f"{PAGE}/plugin/reloads?view=requests&id=r1",
    ]


def test_of_many_reasons_the_first_are_told_and_the_others_counted() -> None:
    failures = tuple(Failure(days=Days.of([day]), error=f"no {day.day}") for day in JANUARY)
    lines = told(Outcome(failed=failures)).body.splitlines()
    assert sum(line.startswith("2025-01-") for line in lines) == 5
    assert "and 26 more reasons" in lines


def test_a_reason_is_one_line_and_not_longer_than_a_chat_shows() -> None:
    outcome = Outcome(failed=(Failure(days=JANUARY, error="a\nb\x1b[31m" + "x" * 5000),))
    lines = told(outcome).body.splitlines()
    assert len(lines) == 3
    assert "\x1b" not in "".join(lines)
    assert max(map(len, lines)) <= 520


def test_without_an_address_there_is_no_link() -> None:
    note = Note("rejected", "x", NOW, {"file": "bad.json", "sentence": "bad.json: it is not JSON", "path": "bad.json"})
    assert compose(note, page_url="").body == "bad.json: it is not JSON"


def test_a_rejected_file_is_told_with_its_sentence() -> None:
    note = Note("rejected", "x", NOW, {"file": "bad.json", "sentence": "bad.json: it is not JSON", "path": "bad.json"})
    message = compose(note, page_url=PAGE)
    assert (message.title, message.table) == ("request file bad.json rejected", None)
    assert message.body == f"bad.json: it is not JSON\n{PAGE}/plugin/reloads?view=requests"


@pytest.mark.parametrize(
    ("kind", "title", "event"),
    [("late", "flights: 2025-01-31 is late", "late"), ("came", "flights: 2025-01-31 came", "done")],
)
def test_late_days_and_those_that_came(kind: str, title: str, event: str) -> None:
    content = {"table": "flights", "days": ["2025-01-31"], "due": "06:30"}
    note = Note.from_json(Note("late", "x", NOW, content).to_json().replace('"late"', f'"{kind}"', 1).encode())
    message = compose(note, page_url=PAGE)
    assert (message.title, set(message.events)) == (title, {event})
    assert message.body.splitlines()[-1] == f"{PAGE}/plugin/reloads?table=flights&day=2025-01-31"
