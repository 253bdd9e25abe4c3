"""A run leads to the requests that it serves or served."""

from __future__ import annotations

from datetime import timedelta

from reloads.outcome import Outcome
from tests.support.chain import NOW, Chain
from tests.unit.airflow.page.page_under_test import Page

RUN = "manual__2025-01-31T12:00:00+00:00"


def test_a_run_names_the_requests_whose_days_it_ended_newest_first(page: Page, chain: Chain) -> None:
    served = [chain.ask("a", "2025-01-01", "2025-01-02", at=NOW + timedelta(minutes=number)) for number in range(2)]
    other = chain.ask("a", "2025-01-03")
    chain.queue.settle(served[0].id, Outcome(published=served[0].days), run=RUN, now=NOW)
    chain.queue.settle(served[1].id, Outcome(published=served[1].days.newest(1)), run=RUN, now=NOW)
    chain.queue.settle(other.id, Outcome(published=other.days), run="another", now=NOW)

    answer = page.get(f"/api/runs/rewrite_a/{RUN.replace('+', '%2B')}")

    assert answer["table"] == "a"
    assert [request["id"] for request in answer["requests"]] == [served[1].id, served[0].id]


def test_a_run_that_nobody_knows_serves_nobody(page: Page) -> None:
    assert page.get("/api/runs/rewrite_a/nothing") == {"table": "a", "requests": []}


def test_a_run_of_another_dag_is_for_no_table(page: Page) -> None:
    assert page.get("/api/runs/request_partitions/nothing") == {"table": None, "requests": []}
