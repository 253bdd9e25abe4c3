"""The list of all tables: what is kept of an earlier look never differs from what a new look finds."""

from __future__ import annotations

import json
import shutil
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import RequestError
from reloads.inspection import calendar
from reloads.inspection.calendar import find_shown_days, read_calendar
from reloads.inspection.overview import LOOK_AGAIN_AFTER, MOST_PIECES, Overview, TableSummary
from reloads.runs.undo import undo_request
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from tests.support.chain import NOW, Chain
from tests.support.process_kill import SCRATCH

TABLES = "abcd"
DAY = st.integers(1, 9).map(lambda day: f"2025-01-0{day}")
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), DAY, st.integers(0, 3)),
        st.tuples(st.just("load"), st.sampled_from(TABLES), DAY),
        st.tuples(st.just("ask"), st.sampled_from(TABLES), DAY),
        st.tuples(st.just("run"), st.sampled_from(TABLES), st.none()),
        st.tuples(st.just("undo"), st.sampled_from(TABLES), st.none()),
        st.tuples(st.just("define"), st.integers(2, 4), st.none()),
        st.tuples(st.just("lose"), st.sampled_from(TABLES), st.sampled_from([".state", ".log"])),
        st.tuples(st.just("look"), st.none(), st.none()),
    ),
    max_size=8,
)


def summarize(overview: Overview, chain: Chain) -> dict[str, TableSummary | None]:
    return overview.summarize(Catalog.load(chain.settings.tables), now=NOW)


def act(chain: Chain, kind: str, first: object, second: object) -> None:
    if kind == "deliver":
        chain.deliver(str(first), int(str(second)))
    elif kind == "load":
        chain.ask(str(first), str(second))
        chain.work_off(str(first))
    elif kind == "ask":
        chain.ask(str(first), str(second))
    elif kind == "run":
        chain.run(str(first))
    elif kind == "define":
        chain.define("b", f"select day, {first} * amount as twice from a")
    elif kind == "lose":
        shutil.rmtree(chain.settings.warehouse / str(second) / str(first), ignore_errors=True)
    elif kind == "undo":
        for record in [each for each in chain.queue.records("done") if each.table == first][-1:]:
            try:
                undo_request(chain.settings, record.id, force=True, now=NOW)
            except RequestError:
                return  # it changed nothing


@settings(max_examples=25)
@given(acts=ACTS)
def test_a_look_that_remembers_the_last_one_is_like_a_new_one(acts: list[tuple[str, object, object]]) -> None:
    home = Path(tempfile.mkdtemp(dir=SCRATCH)) / "home"
    try:
        chain = Chain.at(home)
        kept = Overview(chain.settings)
        for kind, first, second in [*acts, ("look", None, None)]:
            act(chain, kind, first, second)
            if kind == "look":
                new = summarize(Overview(chain.settings), chain)
                assert summarize(kept, chain) == new
                # As a server that was started anew begins.
                restored = Overview(chain.settings)
                restored.restore(json.loads(json.dumps(kept.to_json())))
                assert summarize(restored, chain) == new
                kept = restored
    finally:
        shutil.rmtree(home.parent)


def test_it_counts_what_the_calendars_show(tmp_path: Path) -> None:
    chain = Chain.at(tmp_path / "home")
    chain.load()
    chain.deliver("2025-01-03", 50)
    chain.ask("a", "2025-01-03", cascade=False)
    chain.run("a")
    chain.ask("c", "2025-01-31")
    catalog = Catalog.load(chain.settings.tables)
    for name, summary in summarize(Overview(chain.settings), chain).items():
        asked = Days.union(record.outstanding for record in chain.queue.accepted(name))
        shown = find_shown_days(chain.settings, catalog[name], now=NOW, asked=asked)
        days = read_calendar(chain.settings, catalog, name, shown, now=NOW)
        assert summary is not None
        assert (summary.days, summary.counts) == (shown, days.counts())
        assert summary.rows == 31


def test_only_days_that_a_commit_may_have_changed_are_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain.at(tmp_path / "home")
    chain.load()
    kept = Overview(chain.settings)
    summarize(kept, chain)
    looked_at: dict[str, Days] = {}

    def look(settings: Settings, catalog: Catalog, name: str, days: Days) -> object:
        looked_at[name] = days
        return calendar.look_at_days(settings, catalog, name, days)

    monkeypatch.setattr("reloads.inspection.overview.look_at_days", look)
    summarize(kept, chain)
    assert looked_at == {}
    chain.deliver("2025-01-03", 50)
    chain.ask("a", "2025-01-03", cascade=False)
    chain.run("a")
    summarize(kept, chain)
    third = date(2025, 1, 3)
    assert looked_at == {
        "a": Days.of([third]),
        "b": Days.of([third]),
        "c": Days.between(third, date(2025, 1, 9)),
    }


def test_a_file_that_somebody_took_away_is_noticed_after_a_while(tmp_path: Path) -> None:
    chain = Chain.at(tmp_path / "home")
    chain.load()
    kept, catalog = Overview(chain.settings), Catalog.load(chain.settings.tables)
    kept.summarize(catalog, now=NOW)
    (chain.settings.warehouse / "a" / "day=2025-01-05" / "data.parquet").unlink()
    impatient = kept.summarize(catalog, now=NOW + 2 * LOOK_AGAIN_AFTER, patience=60)["a"]
    assert impatient is not None
    assert impatient.counts["missing"] == 0, "who waits for an answer is not kept waiting by that"
    for now, missing in ((NOW + LOOK_AGAIN_AFTER - timedelta(seconds=1), 0), (NOW + LOOK_AGAIN_AFTER, 1)):
        summary = kept.summarize(catalog, now=now)["a"]
        assert summary is not None
        assert summary.counts["missing"] == missing


def test_who_has_no_patience_gets_the_rest_at_the_next_look(tmp_path: Path) -> None:
    chain = Chain.at(tmp_path / "home")
    chain.load()
    kept, catalog = Overview(chain.settings), Catalog.load(chain.settings.tables)
    looks = [kept.summarize(catalog, now=NOW, patience=0) for _ in range(2)]
    assert [summary is None for summary in looks[0].values()].count(True) == len(TABLES)
    whole = kept.summarize(catalog, now=NOW)
    assert whole == kept.summarize(catalog, now=NOW, patience=0), "what was looked at once is known"
    assert whole.keys() == set(TABLES)


def test_the_last_change_is_that_of_the_log_and_an_undo_is_one(tmp_path: Path) -> None:
    chain = Chain.at(tmp_path / "home")
    record = chain.ask("a", "2025-01-05")
    chain.run("a")
    later = datetime(2025, 1, 31, 13, tzinfo=UTC)
    undo_request(chain.settings, record.id, force=False, now=later)
    summary = summarize(Overview(chain.settings), chain)["a"]
    assert summary is not None
    assert summary.last_change is not None
    assert (summary.last_change >= later, summary.rows, len(summary.published)) == (True, 0, 0)


def test_what_another_release_left_is_looked_at_again(tmp_path: Path) -> None:
    chain = Chain.at(tmp_path / "home")
    chain.load()
    kept = Overview(chain.settings)
    whole = summarize(kept, chain)
    values = kept.to_json()
    values["a"] = {"days": "none"}
    values["b"]["version"] = "another"
    values["c"]["points"] = {}
    values["gone"] = values["d"]
    restored = Overview(chain.settings)
    restored.restore(values)
    assert summarize(restored, chain) == whole


def test_who_has_patience_is_not_kept_waiting_by_a_look_of_somebody_else_nor_by_a_large_table(tmp_path: Path) -> None:
    chain = Chain.at(tmp_path / "home")
    chain.load()
    kept, catalog = Overview(chain.settings), Catalog.load(chain.settings.tables)
    pieces = chain.settings.warehouse / ".state" / "b"
    for number in range(MOST_PIECES):
        (pieces / f"{2200 + number}-01.json").write_text("{}")
    begun, go_on = Event(), Event()
    find_shown_days = calendar.find_shown_days

    def look_slowly(settings: Settings, table: Table, **options: Any) -> Days:
        begun.set()
        assert go_on.wait(60)
        return find_shown_days(settings, table, **options)

    with patch("reloads.inspection.overview.find_shown_days", look_slowly):
        looking = Thread(target=lambda: kept.summarize(catalog, now=NOW, names=["a"]))
        looking.start()
        assert begun.wait(60)
        summaries = kept.summarize(catalog, now=NOW, names=["a", "b"], patience=60)
        go_on.set()
        looking.join(60)
    assert summaries == {"a": None, "b": None}
    assert kept.summarize(catalog, now=NOW, names=["a"], patience=60)["a"]
    assert kept.summarize(catalog, now=NOW, names=["b"])["b"]
    assert kept.summarize(catalog, now=NOW, names=["b"], patience=60)["b"], "what is known is told"
