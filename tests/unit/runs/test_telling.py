"""Telling Airflow: whatever changed is in an event, whoever published it and whatever became of earlier events."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloads.requests.request import parse_request
from reloads.requests.untold import find_untold
from reloads.runs.local_run import run_locally
from reloads.runs.telling import News, tell
from reloads.runs.undo import undo_request
from reloads.warehouse.upgrade import open_catalog
from tests.support.chain import NOW, Chain
from tests.support.process_kill import SCRATCH

DAYS = ("2025-01-01", "2025-01-02", "2025-01-03")


@dataclass
class Airflow:
    """Keeps the events of one table, as a task leaves them that succeeds."""

    chain: Chain
    extras: list[dict[str, Any]] = field(default_factory=list)
    questions: int = 0

    def read_told(self) -> list[object]:
        self.questions += 1
        return [extra.get("commit") for extra in reversed(self.extras)]

    def settle(self, *, succeeds: bool = True) -> News | None:
        news = tell(self.chain.settings, open_catalog(self.chain.settings), "a", read_told=self.read_told)
        if news and succeeds:
            self.extras.append(news.extra())
        return news


def load(chain: Chain, *days: str, amount: int | None = None) -> str:
    if amount is not None:
        for day in days:
            chain.deliver(day, amount)
    record = chain.ask("a", days[0], days[-1], cascade=False)
    chain.run("a")
    return record.id


@pytest.fixture
def airflow(chain: Chain) -> Airflow:
    return Airflow(chain)


def test_an_event_says_which_days_changed_for_whom_and_how_many_rows_they_have(airflow: Airflow) -> None:
    request = load(airflow.chain, "2025-01-01", "2025-01-02")
    airflow.settle()
    [extra] = airflow.extras
    assert extra.pop("commit").partition("@")[0] == "1"
    assert "2025-01-01..2025-01-02 of a changed" in extra.pop("about")
    assert extra == {
        "table": "a",
        "start_date": "2025-01-01",
        "end_date": "2025-01-02",
        "ranges": ["2025-01-01..2025-01-02"],
        "rows": 2,
        "request": request,
        "requests": 1,
    }


def test_what_was_only_confirmed_is_no_news(airflow: Airflow) -> None:
    load(airflow.chain, *DAYS)
    airflow.settle()
    load(airflow.chain, *DAYS)
    assert airflow.settle() is None
    assert len(airflow.extras) == 1


def test_airflow_is_not_asked_where_nothing_is_new(airflow: Airflow) -> None:
    load(airflow.chain, *DAYS)
    airflow.settle()
    airflow.settle()
    asked = airflow.questions
    assert airflow.settle() is None
    assert airflow.questions == asked


def test_events_of_others_are_passed_over(airflow: Airflow) -> None:
    load(airflow.chain, *DAYS)
    airflow.settle()
    airflow.extras += [{}, {"commit": 7}, {"commit": "999@another"}, {"commit": ["1"]}]
    assert airflow.settle() is None


@pytest.mark.parametrize("lost", [(".cursors",), (".state",), (".cursors", ".state")])
def test_what_airflow_knows_is_not_told_again_whatever_bookkeeping_was_lost(
    airflow: Airflow, lost: tuple[str, ...]
) -> None:
    load(airflow.chain, *DAYS)
    airflow.settle()
    for name in lost:
        shutil.rmtree(airflow.chain.settings.warehouse / name)
    assert airflow.settle() is None


def test_an_undo_is_told_with_its_own_request(airflow: Airflow) -> None:
    load(airflow.chain, *DAYS)
    airflow.settle()
    request = load(airflow.chain, "2025-01-02", amount=1000)
    airflow.settle()
    [undone] = undo_request(airflow.chain.settings, request, force=False, now=NOW)
    assert find_untold(airflow.chain.settings.landing, now=NOW) == ["a"]
    news = airflow.settle()
    assert news is not None
    assert (news.days.texts(), news.requests, news.rows) == (["2025-01-02"], (undone.id,), 1)
    assert find_untold(airflow.chain.settings.landing, now=NOW) == []


def test_a_command_is_told_like_a_run(airflow: Airflow) -> None:
    run_locally(airflow.chain.settings, parse_request({"table": "a", "start_date": "2025-01-01", "cascade": False}))
    assert find_untold(airflow.chain.settings.landing, now=NOW) == ["a"]
    news = airflow.settle()
    assert news is not None
    assert (news.days.texts(), news.rows) == (["2025-01-01"], 1)


ACTS = st.sampled_from(["load", "confirm", "undo", "settle", "settle in vain", "lose"])


@given(st.lists(st.tuples(ACTS, st.sampled_from(DAYS)), max_size=12))
@settings(max_examples=25)
def test_whatever_differs_since_an_event_is_in_the_next_ones(acts: list[tuple[str, str]]) -> None:
    home = Path(tempfile.mkdtemp(dir=SCRATCH))
    try:
        chain = Chain.at(home)
        airflow, requests, seen = Airflow(chain), list[str](), chain.files()
        for number, (act, day) in enumerate([*acts, ("settle", "")]):
            if act == "load":
                requests.append(load(chain, day, amount=100 + number))
            elif act == "confirm":
                load(chain, day)
            elif act == "undo" and requests:
                undo_request(chain.settings, requests.pop(), force=True, now=NOW)
            elif act == "lose":
                shutil.rmtree(chain.settings.warehouse / ".cursors", ignore_errors=True)
            elif act.startswith("settle"):
                news = airflow.settle(succeeds=act == "settle")
                told = {str(each) for each in news.days} if news else set()
                files = chain.files()
                differing = {name[2:] for name in seen.keys() | files.keys() if seen.get(name) != files.get(name)}
                assert differing <= told
                if act == "settle":
                    seen = files
        assert airflow.settle() is None
    finally:
        shutil.rmtree(home)
