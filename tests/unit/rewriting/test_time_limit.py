"""The time limit: a batch that takes longer ends with a sentence, and publishes all of a day or nothing of it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from reloads.days import Days
from reloads.errors import QueryError, TimeLimitError
from reloads.rewriting import rewrite as rewrite_module
from reloads.rewriting import time_limit
from reloads.rewriting.publication import build_publication
from reloads.rewriting.time_limit import TimeLimit
from reloads.settings import Settings
from reloads.warehouse.publishing import publish
from tests.conftest import DefineTable
from tests.support.sales_home import SalesHome, days, of_each_day

ENDLESS = "(select count(*) from range(100000000) a, range(1000000) b where (a.range * b.range) % 7 = 3)"
"""A value that takes days."""

BIG = f"create table big as select {ENDLESS} as n;"
MOMENT = 0.005
"""In minutes."""

SENTENCE = (
    "the batch took longer than 0.005 minutes; ask for fewer days at once, "
    "or raise batch_minutes in tables/sales/table.toml"
)
FOUR = days("2025-01-01..2025-01-04")


@pytest.fixture
def home(sales_settings: Settings) -> SalesHome:
    return SalesHome(sales_settings)


@pytest.fixture
def db() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        yield connection


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def pass_limit(self) -> None:
        self.now += 1e9


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time_limit, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


# a block of queries


def test_a_query_that_takes_too_long_ends_with_the_limit(db: duckdb.DuckDBPyConnection) -> None:
    limit = TimeLimit.begin("sales", MOMENT)
    with pytest.raises(TimeLimitError) as caught, limit.bounded(db):
        db.execute(f"select {ENDLESS}")
    assert str(caught.value) == SENTENCE
    assert db.execute("select 1").fetchall() == [(1,)], "the connection is as good as before"


def test_a_step_that_takes_an_interrupted_query_for_an_answer_ends_with_the_limit(
    db: duckdb.DuckDBPyConnection,
) -> None:
    limit = TimeLimit.begin("sales", MOMENT)

    def ask_three_times() -> None:
        for _ in range(3):
            with suppress(duckdb.Error):
                db.execute(f"select {ENDLESS}")

    with pytest.raises(TimeLimitError), limit.bounded(db):
        ask_three_times()


def test_nothing_is_begun_once_the_time_is_over(db: duckdb.DuckDBPyConnection, clock: Clock) -> None:
    limit = TimeLimit.begin("sales", 90)
    clock.pass_limit()
    begun: list[int] = []
    with pytest.raises(TimeLimitError), limit.bounded(db):
        begun.append(1)
    assert begun == []


def test_an_error_before_the_time_is_over_stays_what_it_is(db: duckdb.DuckDBPyConnection) -> None:
    limit = TimeLimit.begin("sales", 90)
    with pytest.raises(duckdb.BinderException), limit.bounded(db):
        db.execute("select nothing")
    with pytest.raises(QueryError, match=r"^bad$"), limit.bounded(db):
        raise QueryError("bad")


@pytest.mark.parametrize("minutes", [90, None], ids=["in time", "without a limit"])
def test_a_block_that_ends_in_time_leaves_no_thread(db: duckdb.DuckDBPyConnection, minutes: float | None) -> None:
    with TimeLimit.begin("sales", minutes).bounded(db):
        assert db.execute("select 1").fetchall() == [(1,)]
    assert "time-limit" not in [thread.name for thread in threading.enumerate()]


# a batch


@pytest.mark.parametrize(
    ("query", "sources"),
    [
        pytest.param(of_each_day(f"{ENDLESS} as x"), "", id="the query"),
        pytest.param("select date '2025-01-01' as day, n from big", BIG, id="a source"),
    ],
)
def test_a_batch_that_takes_too_long_fails_all_of_its_days_for_good(
    home: SalesHome, define: DefineTable, query: str, sources: str
) -> None:
    (home.settings.tables / "sources.sql").write_text(sources)
    define("sales", query)
    outcome = home.rewrite(FOUR, limit=TimeLimit.begin("sales", MOMENT))
    [failure] = outcome.failed
    assert (failure.days, failure.error, failure.transient) == (FOUR, SENTENCE, False)
    with pytest.raises(QueryError):
        outcome.raise_failures()
    assert (outcome.published, home.published()) == (Days(), Days())
    assert home.staging() == []


def test_a_check_that_takes_too_long_keeps_the_published_files(home: SalesHome, define: DefineTable) -> None:
    define("sales", of_each_day("6 as x"))
    home.rewrite(FOUR)
    before = home.state()
    folder = define("sales", of_each_day("7 as x"))
    (folder / "checks.sql").write_text(f"create view bad as select day from new where n = {ENDLESS}")
    [failure] = home.rewrite(FOUR, limit=TimeLimit.begin("sales", MOMENT)).failed
    assert (failure.days, failure.error) == (FOUR, SENTENCE)
    assert home.state() == before


def test_what_was_published_before_stays_published_and_the_rest_fails(
    home: SalesHome, define: DefineTable, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The days are published in parts, because one of them fails.
    define("sales", of_each_day("if(d.midnight = date '2025-01-04', error('bad row'), 1) as x"))

    def publish_and_wait(*arguments: Any, **options: Any) -> Any:
        published = publish(*arguments, **options)
        clock.pass_limit()
        return published

    monkeypatch.setattr(rewrite_module, "publish", publish_and_wait)
    outcome = home.rewrite(FOUR, limit=TimeLimit.begin("sales", 90))
    assert outcome.published == home.published() == days("2025-01-01..2025-01-02")
    [failure] = outcome.failed
    assert failure.days == days("2025-01-03..2025-01-04")
    assert failure.error.startswith("the batch took longer than 90 minutes; ")


def test_a_publication_that_was_begun_in_time_comes_to_its_end(
    home: SalesHome, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_late(*arguments: Any) -> Any:
        clock.pass_limit()
        return build_publication(*arguments)

    monkeypatch.setattr(rewrite_module, "build_publication", build_late)
    outcome = home.rewrite(FOUR, limit=TimeLimit.begin("sales", 90))
    assert (outcome.published, outcome.failed) == (FOUR, ())


def test_a_batch_without_a_limit_takes_as_long_as_it_takes(home: SalesHome, clock: Clock) -> None:
    clock.pass_limit()
    assert home.rewrite(FOUR).published == FOUR
