"""The note of a run says which requests it serves, where nobody else wrote one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.utils.types import DagRunType
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from reloads.airflow.page import run_notes
from reloads.airflow.page.run_notes import LONGEST_NOTE, RunNotes, format_note, write_note
from reloads.outcome import Outcome
from reloads.requests.record import Record
from tests.support.chain import NOW, Chain
from tests.support.touches import count_names

RUN = "manual__2025-01-31T12:00:00+00:00"


@pytest.fixture
def make_run(database: Session, paused: Callable[[str], None]) -> Callable[..., None]:
    """``make_run(run_id, note, by)`` makes a run of the table ``a``, with that note of that person."""
    paused("rewrite_a")

    def make(run_id: str = RUN, note: str | None = None, by: str | None = None) -> None:
        run = {"dag_id": "rewrite_a", "run_id": run_id, "run_type": DagRunType.MANUAL, "run_after": NOW}
        database.execute(insert(DagRun).values(**run, state="success", conf={}))
        if note is not None:
            found = database.scalar(select(DagRun.id).where(DagRun.run_id == run_id))
            database.execute(insert(DagRunNote).values(dag_run_id=found, content=note, user_id=by))
        database.commit()

    return make


def note_of(database: Session, run_id: str = RUN) -> tuple[str | None, str | None] | None:
    database.expire_all()
    query = select(DagRunNote.content, DagRunNote.user_id).join(DagRun, DagRun.id == DagRunNote.dag_run_id)
    row = database.execute(query.where(DagRun.run_id == run_id)).one_or_none()
    database.commit()
    return (row.content, row.user_id) if row else None


def served(chain: Chain, first: str, last: str | None = None, *, run: str = RUN, number: int = 0) -> Record:
    """A request, some days of which the run ended."""
    record = chain.ask("a", first, last, at=NOW + timedelta(minutes=number))
    settled = chain.queue.settle(record.id, Outcome(published=record.days), run=run, now=NOW)
    assert settled
    return settled


def test_a_run_is_told_its_requests(chain: Chain, database: Session, make_run: Callable[..., None]) -> None:
    make_run()
    record = served(chain, "2025-01-01", "2025-01-03")

    assert RunNotes(chain.settings.landing).look(now=NOW) == 1

    assert note_of(database) == (f"Serves 1 request:\n\n- `{record.id}`: 2025-01-01..2025-01-03", None)


def test_a_request_that_comes_later_is_added_to_a_note_of_ours(
    chain: Chain, database: Session, make_run: Callable[..., None]
) -> None:
    make_run()
    notes = RunNotes(chain.settings.landing)
    first = served(chain, "2025-01-01")
    notes.look(now=NOW)
    second = served(chain, "2025-01-02", number=1)
    notes.look(now=NOW)

    content, _ = note_of(database) or ("", None)
    assert content == f"Serves 2 requests:\n\n- `{first.id}`: 2025-01-01\n- `{second.id}`: 2025-01-02"


@pytest.mark.parametrize(("note", "by"), [("mine", "ada"), ("mine", None), ("", "ada")])
def test_what_somebody_wrote_stays(
    chain: Chain, database: Session, make_run: Callable[..., None], note: str, by: str | None
) -> None:
    make_run(note=note, by=by)
    served(chain, "2025-01-01")
    assert RunNotes(chain.settings.landing).look(now=NOW) == 0
    assert note_of(database) == (note, by)


def test_what_somebody_writes_over_a_note_of_ours_stays(
    chain: Chain, database: Session, make_run: Callable[..., None]
) -> None:
    make_run()
    notes = RunNotes(chain.settings.landing)
    served(chain, "2025-01-01")
    notes.look(now=NOW)
    database.execute(update(DagRunNote).values(content="mine", user_id="ada"))
    database.commit()
    served(chain, "2025-01-02", number=1)
    notes.look(now=NOW)
    assert note_of(database) == ("mine", "ada")


def test_a_note_of_ours_that_somebody_took_over_stays(
    chain: Chain, database: Session, make_run: Callable[..., None]
) -> None:
    make_run()
    notes = RunNotes(chain.settings.landing)
    record = served(chain, "2025-01-01")
    notes.look(now=NOW)
    database.execute(update(DagRunNote).values(user_id="ada"))
    database.commit()
    served(chain, "2025-01-02", number=1)
    notes.look(now=NOW)
    assert note_of(database) == (f"Serves 1 request:\n\n- `{record.id}`: 2025-01-01", "ada")


def test_a_note_that_somebody_removed_does_not_come_back_by_itself(
    chain: Chain, database: Session, make_run: Callable[..., None]
) -> None:
    make_run()
    notes = RunNotes(chain.settings.landing)
    served(chain, "2025-01-01")
    notes.look(now=NOW)
    database.execute(delete(DagRunNote))
    database.commit()
    assert notes.look(now=NOW) == 0
    assert note_of(database) is None


def test_two_servers_write_one_note(chain: Chain, database: Session, make_run: Callable[..., None]) -> None:
    make_run()
    record = served(chain, "2025-01-01")
    servers = [RunNotes(chain.settings.landing) for _ in range(2)]
    assert [server.look(now=NOW) for server in servers] == [1, 0]
    assert note_of(database) == (f"Serves 1 request:\n\n- `{record.id}`: 2025-01-01", None)


def test_a_run_that_airflow_does_not_know_is_left_out(chain: Chain, database: Session) -> None:
    served(chain, "2025-01-01")
    served(chain, "2025-01-02", run="command/0123")
    assert RunNotes(chain.settings.landing).look(now=NOW) == 0
    assert database.scalars(select(DagRunNote.content)).all() == []


def test_only_the_note_that_was_ours_is_replaced(database: Session, make_run: Callable[..., None]) -> None:
    make_run(note="ours")
    assert not write_note(("rewrite_a", RUN), "new", before="other")
    assert write_note(("rewrite_a", RUN), "new", before="ours")
    assert note_of(database) == ("new", None)


def test_a_look_without_a_change_asks_nobody(
    chain: Chain, make_run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_run()
    for number in range(20):
        served(chain, "2025-01-01", number=number)
    notes = RunNotes(chain.settings.landing)
    notes.look(now=NOW)
    monkeypatch.delattr(run_notes, "create_session")
    with count_names(chain.settings.landing) as counts:
        assert notes.look(now=NOW) == 0
    assert counts["done"] == 0


def test_a_note_fits_into_its_column_and_counts_what_does_not() -> None:
    lines = {str(number): f"- `{'x' * 60}-{number}`: 2025-01-01" for number in range(100)}
    note = format_note(lines)
    assert len(note) <= LONGEST_NOTE
    shown = note.count("\n- `")
    assert shown > 5
    assert note.startswith("Serves 100 requests:\n\n- `")
    assert note.endswith(f"\n- and {100 - shown} more")


def test_a_note_holds_nothing_that_a_person_wrote(
    chain: Chain, database: Session, make_run: Callable[..., None]
) -> None:
    make_run()
    record = chain.ask("a", "2025-01-01", reason="![x](http://evil.example/)", requested_by="<b>", file="[x](y).json")
    chain.queue.settle(record.id, Outcome(published=record.days), run=RUN, now=datetime.now(UTC))
    RunNotes(chain.settings.landing).look(now=NOW)
    content, _ = note_of(database) or ("", None)
    assert content == f"Serves 1 request:\n\n- `{record.id}`: 2025-01-01"
    assert not set("[]()<>!") & set(content or "")
