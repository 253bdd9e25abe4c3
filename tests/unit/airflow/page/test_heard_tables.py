"""A request that no DAG heard of is announced as soon as there is one, and no other is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from airflow.models.dag import DagModel
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from reloads.airflow.page.keeper import make_works_of_server
from reloads.batch import Batch
from reloads.days import Days
from reloads.requests.batch_notes import note_run
from reloads.requests.neglect import attend, find_neglected
from tests.support.chain import Chain

Look = Callable[[], object]


@pytest.fixture
def look(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Look:
    """What a server does every few seconds, one that has looked once."""
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    work = make_works_of_server()["announcing what nobody heard"]
    work()
    return work


@pytest.fixture
def has_dag(database: Session) -> Callable[..., None]:
    """``has_dag(table, is_paused=…)``: Airflow has the DAG of the table, or has it no more."""

    def write(table: str, *, is_paused: bool = False, is_stale: bool = False) -> None:
        dag_id = f"rewrite_{table}"
        database.execute(delete(DagModel).where(DagModel.dag_id == dag_id))
        dag = {"dag_id": dag_id, "bundle_name": "dags", "is_paused": is_paused, "is_stale": is_stale, "fileloc": "x.py"}
        database.add(DagModel(**dag))  # type: ignore[no-untyped-call]
        database.commit()

    return write


def announced_next(chain: Chain) -> list[str]:
    """The tables of the requests that the doorbell rings for now, though each was announced a moment ago."""
    neglected = find_neglected(chain.queue, now=datetime.now(UTC), after=timedelta(minutes=1))
    return sorted(record.table for record in neglected)


def ask(chain: Chain, *tables: str) -> None:
    for table in tables:
        chain.ask(table, "2025-01-01", cascade=False)
    attend(chain.queue, chain.queue.records("accepted"))


def test_a_request_whose_table_has_no_dag_yet_is_announced_once_it_has(
    chain: Chain, look: Look, has_dag: Callable[..., None]
) -> None:
    has_dag("b")
    look()
    ask(chain, "a", "b")
    look()
    assert announced_next(chain) == []
    has_dag("a")
    look()
    assert announced_next(chain) == ["a"]
    assert (chain.settings.landing / ".knock").exists()
    attend(chain.queue, chain.queue.records("accepted"))
    look()
    assert announced_next(chain) == []


@pytest.mark.parametrize("state", ["is_paused", "is_stale"])
def test_a_request_whose_dag_was_paused_or_gone_is_announced_once_it_is_back(
    chain: Chain, look: Look, has_dag: Callable[..., None], database: Session, state: str
) -> None:
    has_dag("a", **{state: True})
    look()
    ask(chain, "a")
    look()
    assert announced_next(chain) == []
    database.execute(update(DagModel).where(DagModel.dag_id == "rewrite_a").values({state: False}))
    database.commit()
    look()
    assert announced_next(chain) == ["a"]


def test_a_request_of_a_table_with_a_run_at_work_is_left_to_that_run(
    chain: Chain, look: Look, has_dag: Callable[..., None]
) -> None:
    for table in ("a", "b"):
        has_dag(table, is_paused=True)
    look()
    ask(chain, "a", "b")
    note_run(chain.settings.landing, "a", [Batch(Days.parse(["2025-01-01"]))], run="run/1")
    for table in ("a", "b"):
        has_dag(table)
    look()
    assert announced_next(chain) == ["b"]


def test_a_server_that_starts_announces_nothing_by_itself(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, has_dag: Callable[..., None]
) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    has_dag("a")
    ask(chain, "a")
    make_works_of_server()["announcing what nobody heard"]()
    assert announced_next(chain) == []
