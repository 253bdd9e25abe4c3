"""Reloads in this process, without Airflow: the same rewriting, the same waves, the same records."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import duckdb
import pytest

from reloads.requests.record import Record
from reloads.requests.request import parse_request
from reloads.runs.local_run import run_follow_ups_locally, run_locally
from reloads.runs.undo import undo_request
from reloads.tables.catalog import Catalog
from reloads.warehouse.access import state_of
from reloads.warehouse.commit import Commit
from reloads.warehouse.partitions import folder_of
from tests.support.chain import NOW, Chain, changed

ITS_WEEK = [f"2025-01-{day}" for day in range(10, 17)]
AFFECTED = ["a 2025-01-10", "b 2025-01-10", *(f"{table} {day}" for table in "cd" for day in ITS_WEEK)]


def clock() -> datetime:
    return NOW


def run(chain: Chain, table: str | list[str], first: str, last: str | None = None, **more: Any) -> list[Record]:
    request = parse_request({"table": table, "start_date": first, "end_date": last or first, **more})
    return run_locally(chain.settings, request, clock=clock)


def content(chain: Chain) -> list[tuple[object, ...]]:
    query = """
        select parse_path(filename)[-3] as name, * exclude (filename)
        from read_parquet($1, filename = true, union_by_name = true, hive_partitioning = true)
        order by all
    """
    with duckdb.connect() as db:
        return db.execute(query, [str(chain.settings.warehouse / "[a-d]" / "*" / "*.parquet")]).fetchall()


def did(records: list[Record]) -> list[tuple[str, str]]:
    return [(one.table, str(one.published)) for one in records]


def test_no_batch_counts_as_at_work_once_a_command_has_ended(chain: Chain) -> None:
    run(chain, "a", "2025-01-01", "2025-01-02")
    assert [path for path in (chain.settings.landing / ".progress").rglob("*") if path.is_file()] == []


def test_a_command_takes_as_long_as_it_takes(chain: Chain) -> None:
    chain.define("a", "select day, amount from raw", "batch_minutes = 0.0000001")
    [record] = [record for record in run(chain, "a", "2025-01-01", "2025-01-02") if record.table == "a"]
    assert (len(record.published), record.failed) == (2, ())


def test_each_batch_has_all_threads_because_they_run_one_after_another(chain: Chain) -> None:
    declared = "[parameters.factor]\ntype = 'integer'\ndefault = 1\n"
    threads = "(select value::int from duckdb_settings() where name = 'threads') as threads"
    chain.define("b", f"select day, amount * getvariable('factor') as twice, {threads} from a", declared)
    run(chain, "a", "2025-01-01", "2025-01-02", cascade=False)
    for day, factor in (("2025-01-01", 2), ("2025-01-02", 3)):
        run(chain, "b", day, parameters={"factor": factor})
    chain.deliver("2025-01-01", 100)
    chain.deliver("2025-01-02", 200)
    run(chain, "a", "2025-01-01", "2025-01-02")
    files = str(chain.settings.warehouse / "b" / "*" / "*.parquet")
    with duckdb.connect() as db:
        rows = db.execute("select twice, threads from read_parquet($1) order by all", [files]).fetchall()
    assert rows == [(200, 2), (600, 2)]


def test_what_was_asked_for_with_parameters_and_what_follows_are_done_one_after_the_other(chain: Chain) -> None:
    declared = "[parameters.factor]\ntype = 'integer'\ndefault = 1\n"
    chain.define("a", "select day, amount * getvariable('factor') as amount from raw", declared)
    chain.define("b", "select day, amount * getvariable('factor') as twice from a", declared)
    run(chain, ["a", "b"], "2025-01-02", "2025-01-03", cascade=False)
    records = run(chain, ["a", "b"], "2025-01-02", parameters={"factor": 10})
    of_b = {record.mode: record for record in records if record.table == "b"}
    assert str(of_b["command"].published) == "2025-01-02"
    assert [reason.why for reason in of_b["cascade"].skipped] == ["it is up to date"]
    with duckdb.connect() as db:
        files = str(chain.settings.warehouse / "b" / "*" / "*.parquet")
        rows = db.execute("select twice from read_parquet($1) order by all", [files]).fetchall()
    assert rows == [(3,), (200,)]


@pytest.fixture
def loaded(chain: Chain) -> Chain:
    """All of January in all four tables, and the tenth corrected at the source since."""
    run(chain, ["a", "b", "c", "d"], "2025-01-01", "2025-01-31", cascade=False)
    chain.deliver("2025-01-10", 1000)
    return chain


def test_a_corrected_day_changes_exactly_the_days_of_four_tables_that_depend_on_it(loaded: Chain) -> None:
    before = loaded.files()
    records = run(loaded, "a", "2025-01-10")
    assert changed(before, loaded.files()) == AFFECTED
    assert did(records)[:3] == [("a", "2025-01-10"), ("b", "2025-01-10"), ("c", "2025-01-10..2025-01-16")]
    assert {one.mode for one in records[1:]} == {"cascade"}


def test_the_same_again_changes_nothing_and_nobody_follows(loaded: Chain) -> None:
    run(loaded, "a", "2025-01-10")
    before = loaded.files()
    [record] = run(loaded, "a", "2025-01-10")
    assert record.unchanged.texts() == ["2025-01-10"]
    assert changed(before, loaded.files()) == []


def test_it_does_what_a_run_in_airflow_does(loaded: Chain, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Chain.at(tmp_path_factory.mktemp("other"))
    other.load()
    other.deliver("2025-01-10", 1000)
    other.ask("a", "2025-01-10")
    other.work_off("a")
    run(loaded, "a", "2025-01-10")
    assert content(loaded) == content(other)


def test_its_records_are_filed_away_and_never_wait_for_airflow(loaded: Chain) -> None:
    records = run(loaded, "a", "2025-01-10", reason="late rows")
    assert loaded.queue.records("accepted") == []
    state, first = loaded.find_record(records[0].id)
    assert (state, first.mode, first.reason, first.finished_at) == ("done", "command", "late rows", NOW)
    assert set(first.children) == {one.id for one in records if one.table in "bc"}
    assert [loaded.find_record(one.id)[0] for one in records] == ["done"] * len(records)


def test_tables_asked_for_together_are_rewritten_inputs_first(chain: Chain) -> None:
    records = run(chain, ["d", "b", "c", "a"], "2025-01-01", "2025-01-02", cascade=False)
    assert "".join(one.table for one in records) in ("abcd", "acbd")
    assert {one.published.texts()[0] for one in records} == {"2025-01-01..2025-01-02"}


def test_without_cascade_nobody_follows(loaded: Chain) -> None:
    before = loaded.files()
    assert did(run(loaded, "a", "2025-01-10", cascade=False)) == [("a", "2025-01-10")]
    assert changed(before, loaded.files()) == ["a 2025-01-10"]


def test_only_what_is_stale_is_rewritten(loaded: Chain) -> None:
    run(loaded, "a", "2025-01-10", cascade=False)
    [record, *_] = run(loaded, "c", "2025-01-01", "2025-01-31", only="stale")
    assert record.published.texts() == ["2025-01-10..2025-01-16"]
    assert [one.why for one in record.skipped] == ["it is up to date"]


def test_a_day_that_fails_holds_up_neither_the_others_nor_those_that_follow_them(loaded: Chain) -> None:
    loaded.define("b", "select day, if(day = '2025-01-10', error('bad row'), 2 * amount) as twice from a")
    loaded.deliver("2025-01-11", 1000)
    records = run(loaded, "a", "2025-01-10", "2025-01-11")
    [b] = [one for one in records if one.table == "b"]
    assert (str(b.published), str(b.failed_days)) == ("2025-01-11", "2025-01-10")
    assert loaded.find_record(b.id)[0] == "failed"
    assert "d" in {one.table for one in records}


def test_a_crash_after_publishing_leaves_the_wave_to_the_next_run(
    loaded: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    before = loaded.files()
    with monkeypatch.context() as patch:
        patch.setattr("reloads.requests.queue.Queue.file_away", crash)
        with pytest.raises(Crash):
            run(loaded, "a", "2025-01-10")
    assert changed(before, loaded.files()) == ["a 2025-01-10"]
    run(loaded, "a", "2025-01-31")
    # What the crash left was accepted, as after any run.
    loaded.work_off("b", "c", "d")
    assert changed(before, loaded.files()) == AFFECTED


def test_who_follows_an_undo_is_rewritten_here(loaded: Chain) -> None:
    before = loaded.files()
    [record, *_] = run(loaded, "a", "2025-01-10")
    undone = undo_request(loaded.settings, record.id, force=False, now=NOW)
    children = [loaded.find_record(name)[1] for name in undone[0].children]
    followed = run_follow_ups_locally(loaded.settings, children, clock=clock)
    assert {one.table for one in followed} == {"b", "c", "d"}
    assert loaded.queue.records("accepted") == []
    after = loaded.files()
    assert after["a 2025-01-10"] == before["a 2025-01-10"]
    assert set(changed(before, after)) == set(AFFECTED[1:])
    assert set(loaded.find_record(undone[0].id)[1].children) == {one.id for one in followed if one.table in "bc"}


MANY_YEARS = """
    select cast(midnight as date) as day, 1 as one, if(day = '2026-06-01', error('bad row'), 2) as two
    from generate_series(date '2025-01-01', date '2027-06-30', interval 1 day) as days(midnight)
"""


def commits_of(chain: Chain, table: str) -> list[Commit]:
    folder = folder_of(chain.settings.warehouse, Catalog.load(chain.settings.tables)[table])
    return list(state_of(folder).log.after(0))


def test_many_years_are_done_year_by_year_the_newest_first_as_one_request(chain: Chain) -> None:
    chain.define("years", MANY_YEARS.replace("2026-06-01", "2030-01-01"))
    said: list[str] = []
    request = parse_request({"table": "years", "start_date": "2025-01-01", "end_date": "2027-06-30"})
    [record] = run_locally(chain.settings, request, clock=clock, say=said.append)
    assert record.published == record.days
    assert record.rows == len(record.days) == 911
    assert chain.find_record(record.id) == ("done", record)
    commits = commits_of(chain, "years")
    assert [str(commit.requests[record.id]) for commit in commits] == [
        "2026-06-30..2027-06-30",
        "2025-06-29..2026-06-29",
        "2025-01-01..2025-06-28",
    ]
    assert {commit.run for commit in commits} == set(record.runs)
    assert said == [
        "years: 2026-06-30..2027-06-30 (366 days) done, 545 days left",
        "years: 2025-06-29..2026-06-29 (366 days) done, 179 days left",
    ]


def test_a_day_that_fails_in_one_year_keeps_no_other_year_from_being_done(chain: Chain) -> None:
    chain.define("years", MANY_YEARS)
    [record] = run(chain, "years", "2025-01-01", "2027-06-30")
    assert str(record.failed_days) == "2026-06-01"
    assert record.published == record.days - record.failed_days
    assert chain.find_record(record.id) == ("failed", record)


def test_a_year_of_which_nothing_is_to_be_done_ends_nothing(chain: Chain) -> None:
    chain.define("years", MANY_YEARS.replace("2026-06-01", "2030-01-01"))
    run(chain, "years", "2025-02-01", "2026-02-28")
    before = len(commits_of(chain, "years"))
    [record] = run(chain, "years", "2025-01-01", "2026-02-28", only="missing")
    assert record.published.texts() == ["2025-01-01..2025-01-31"]
    assert record.skipped_days == record.days - record.published
    [commit] = commits_of(chain, "years")[before:]
    assert commit.requests == {record.id: record.published}


def test_an_undo_of_many_years_takes_all_of_them_back(chain: Chain) -> None:
    chain.define("years", MANY_YEARS.replace("2026-06-01", "2030-01-01"))
    [record] = run(chain, "years", "2025-01-01", "2026-06-30")
    [undone] = undo_request(chain.settings, record.id, force=False, now=NOW)
    assert undone.published == record.days
    assert not list((chain.settings.warehouse / "years").glob("*/data.parquet"))
