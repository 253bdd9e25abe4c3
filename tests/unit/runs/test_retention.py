"""Upkeep: what is kept for a while goes when its time is over, and nothing else does."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reloads.errors import RequestError
from reloads.requests.record import Record
from reloads.runs.plan_step import plan_batches
from reloads.runs.retention import remove_expired, remove_unfinished
from reloads.runs.rewrite_step import run_batch
from reloads.runs.settle_step import settle_batches
from reloads.runs.undo import undo_request
from reloads.tables.catalog import Catalog
from reloads.warehouse.commit_log import CommitLog
from reloads.warehouse.layout import versions_folder
from reloads.warehouse.upgrade import open_catalog
from tests.support.chain import NOW, Chain
from tests.support.undo_history import AMOUNTS, CORRECTED, corrected, deliver, loaded, published, undone, whys

__all__ = ["loaded"]


def after(days: float) -> datetime:
    """So many days after what ``loaded`` published."""
    return NOW + timedelta(days=days)


def remove(chain: Chain, table: str = "a", *, now: datetime) -> int:
    catalog = Catalog.load(chain.settings.tables)
    return remove_expired(chain.settings, catalog, catalog[table], now=now)


def versions(chain: Chain, table: str = "a") -> list[str]:
    """The files that are kept of the table, those of the current view among them."""
    root = versions_folder(chain.settings.warehouse, table)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.parquet"))


def commits(chain: Chain, table: str = "a") -> list[int]:
    return CommitLog(chain.settings.warehouse, table).numbers()


def reload_at(chain: Chain, now: datetime, first: str, last: str, *, table: str = "a", cascade: bool = False) -> Record:
    """A request and its run, at another time."""
    record = chain.ask(table, first, last, cascade=cascade, at=now)
    batches = plan_batches(chain.settings, Catalog.load(chain.settings.tables), table, now=now)
    values = [batch.to_json() for batch in batches]
    run = f"run at {now}"
    outcomes = [run_batch(chain.settings, table, value, run=run, now=now).to_json() for value in values]
    settle_batches(chain.settings, open_catalog(chain.settings), table, values, outcomes, run=run, now=now)
    return chain.find_record(record.id)[1]


def refused(chain: Chain, table: str, name: str, *, age: float, now: datetime) -> Path:
    """Rows that a check refused so many days before ``now``."""
    folder = chain.settings.warehouse / ".failed" / table / name
    folder.mkdir(parents=True)
    (folder / "data.parquet").write_text("rows")
    then = (now - timedelta(days=age)).timestamp()
    for path in (folder / "data.parquet", folder):
        os.utime(path, (then, then))
    return folder


def test_refused_rows_stay_while_one_file_of_their_day_is_young(loaded: Chain) -> None:
    now = after(0)
    place = refused(loaded, "shops", "day=2025-01-02", age=8, now=now)
    os.utime(place / "data.parquet", (now.timestamp(), now.timestamp()))
    assert remove(loaded, "shops", now=now) == 0
    assert place.exists()


# what was replaced


def test_what_was_replaced_longer_ago_than_history_days_is_gone_and_undo_says_so(loaded: Chain) -> None:
    request, files = corrected(loaded), published(loaded)
    assert remove(loaded, now=after(7.01)) == len(request.published)
    assert versions(loaded) == [f"{name}/{2 if name in CORRECTED else 1}.parquet" for name in files]
    assert commits(loaded) == []
    sentence = f"^nothing of a that '{request.id}' replaced is kept: .* more than 7 days ago; ask for a reload instead$"
    with pytest.raises(RequestError, match=sentence):
        undone(loaded, request)
    assert published(loaded) == files


def test_what_was_replaced_within_history_days_stays_and_can_be_undone(loaded: Chain) -> None:
    before, request = published(loaded), corrected(loaded)
    kept = versions(loaded), commits(loaded)
    assert remove(loaded, now=after(6.99)) == 0
    assert (versions(loaded), commits(loaded)) == kept
    undone(loaded, request)
    assert published(loaded) == before


def test_of_two_requests_only_the_one_whose_days_are_over_goes(loaded: Chain) -> None:
    first, between = corrected(loaded), published(loaded)
    deliver(loaded, "2025-01-03", 131)
    second = reload_at(loaded, after(5), "2025-01-01", "2025-01-04")
    assert second.published.texts() == ["2025-01-03"]
    assert remove(loaded, now=after(8)) == len(first.published)
    assert commits(loaded) == [3]
    with pytest.raises(RequestError, match="is kept"):
        undone(loaded, first, force=True)
    undone(loaded, second)
    assert published(loaded) == between


def test_what_an_undo_put_back_and_what_it_took_away_stay_when_what_it_went_by_is_gone(loaded: Chain) -> None:
    before, request = published(loaded), corrected(loaded)
    result = published(loaded)
    [undo] = undo_request(loaded.settings, request.id, force=False, now=after(5))
    remove(loaded, now=after(8))
    assert published(loaded) == before
    assert whys(loaded) == {}
    undone(loaded, undo)
    assert published(loaded) == result


def test_after_all_of_it_is_gone_nothing_is_stale_and_the_next_reload_is_undone_as_ever(loaded: Chain) -> None:
    corrected(loaded)
    for table in ("a", "shops"):
        remove(loaded, table, now=after(100))
        assert whys(loaded, table) == {}
    files = published(loaded)
    deliver(loaded, "2025-01-03", 131)
    request = reload_at(loaded, after(101), "2025-01-01", "2025-01-04")
    assert request.published.texts() == ["2025-01-03"]
    undone(loaded, request)
    assert published(loaded) == files


@pytest.mark.parametrize("lost", [(".state",), (".state", ".log")])
def test_what_is_replaced_after_what_was_known_was_lost_expires_as_ever(loaded: Chain, lost: tuple[str, ...]) -> None:
    corrected(loaded)
    remove(loaded, now=after(8))
    deliver(loaded, "2025-01-04", 140)
    reload_at(loaded, after(9), "2025-01-01", "2025-01-04")
    for name in lost:
        shutil.rmtree(loaded.settings.warehouse / name)
    deliver(loaded, "2025-01-03", 131)
    request = reload_at(loaded, after(10), "2025-01-01", "2025-01-04")
    assert request.published.texts() == ["2025-01-03"]
    assert len(versions(loaded)) > len(published(loaded))
    remove(loaded, now=after(18))
    assert commits(loaded) == []
    if ".log" not in lost:
        assert len(versions(loaded)) == len(published(loaded))


def test_a_table_that_keeps_nothing_any_more_loses_what_it_had_kept(loaded: Chain) -> None:
    request = corrected(loaded)
    loaded.define("a", AMOUNTS, "history_days = 0")
    assert remove(loaded, now=after(0.001)) == len(request.published)
    assert len(versions(loaded)) == len(published(loaded))
    with pytest.raises(RequestError, match="more than 0 days ago"):
        undone(loaded, request)


def test_a_request_whose_record_is_gone_too_is_unknown_then(loaded: Chain) -> None:
    request = corrected(loaded)
    (loaded.settings.landing / "done" / f"{request.id}.json").unlink()
    remove(loaded, now=after(8))
    with pytest.raises(RequestError, match=f"'{request.id}' is not a request; reloads status lists them"):
        undone(loaded, request)


def test_only_what_that_table_replaced_goes(loaded: Chain) -> None:
    corrected(loaded, "shops")
    kept = versions(loaded, "shops"), commits(loaded, "shops")
    remove(loaded, now=after(100))
    assert (versions(loaded, "shops"), commits(loaded, "shops")) == kept


def test_each_run_of_a_table_sees_to_it(loaded: Chain) -> None:
    corrected(loaded)
    reload_at(loaded, after(8), "2025-01-04", "2025-01-04")
    assert len(versions(loaded)) == len(published(loaded))
    # Of the run itself.
    assert commits(loaded) == [3]


def test_a_table_without_anything_kept_needs_no_upkeep_and_gets_no_folder(chain: Chain) -> None:
    assert remove(chain, now=after(0)) == 0
    assert list(chain.settings.warehouse.iterdir()) == []


# who follows


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_commit_that_a_table_has_not_followed_yet_stays_however_old_it_is(loaded: Chain, *, is_broken: bool) -> None:
    deliver(loaded, "2025-01-02", 120)
    loaded.ask("a", "2025-01-02", cascade=False)
    loaded.rewrite("a", loaded.plan("a"))
    deliver(loaded, "2025-01-03", 130)
    request = loaded.ask("a", "2025-01-03")
    if is_broken:
        loaded.define("b", "selec")
        loaded.run("a")
        assert loaded.cascades("c")
    else:
        loaded.rewrite("a", loaded.plan("a"))
    remove(loaded, now=after(100))
    loaded.define("b", "select day, 2 * amount as twice from a")
    plan_batches(loaded.settings, Catalog.load(loaded.settings.tables), "b", now=after(101))
    [follower] = [record for record in loaded.cascades("b") if record.cause and record.cause.requests]
    # And not the second, whose request asked for no cascade.
    assert follower.cause
    assert (follower.days.texts(), follower.cause.requests) == (["2025-01-03"], (request.id,))
    remove(loaded, now=after(102))
    assert commits(loaded) == []


def test_a_table_that_was_removed_keeps_no_commit(loaded: Chain) -> None:
    loaded.define("b", "selec")
    corrected(loaded)
    remove(loaded, now=after(100))
    assert commits(loaded)
    shutil.rmtree(loaded.settings.tables / "b")
    remove(loaded, now=after(100))
    assert commits(loaded) == []


# refused rows


def test_refused_rows_go_after_the_days_and_nothing_else_does(loaded: Chain) -> None:
    corrected(loaded)
    now, files, kept = after(0), published(loaded), versions(loaded)
    old = refused(loaded, "a", "day=2025-01-02", age=7.01, now=now)
    young = refused(loaded, "a", "day=2025-01-03", age=6.99, now=now)
    of_another = refused(loaded, "shops", "day=2025-01-02", age=100, now=now)
    assert remove(loaded, now=now) == 1
    assert (old.exists(), young.exists(), of_another.exists()) == (False, True, True)
    assert (young / "data.parquet").read_text() == "rows"
    assert (published(loaded), versions(loaded)) == (files, kept)


def test_refused_rows_of_a_table_without_history_are_there_for_a_day(chain: Chain) -> None:
    chain.define("a", AMOUNTS, "history_days = 0")
    now = after(0)
    old = refused(chain, "a", "day=2025-01-02", age=1.01, now=now)
    young = refused(chain, "a", "day=2025-01-03", age=0.99, now=now)
    assert remove(chain, now=now) == 1
    assert (old.exists(), young.exists()) == (False, True)


def test_rows_that_a_check_refused_lately_are_kept_through_the_runs_of_the_table(loaded: Chain) -> None:
    loaded.define("a", AMOUNTS, "keep_failed = true")
    checks = "create view small as select day, amount as found from new where amount > 100"
    (loaded.settings.tables / "a" / "checks.sql").write_text(checks)
    request: Record = corrected(loaded)
    kept = sorted(path.parent.name for path in (loaded.settings.warehouse / ".failed" / "a").rglob("*.parquet"))
    assert kept == [f"day={day}" for day in request.failed_days]
    assert kept
    now = datetime.now(UTC)
    remove(loaded, now=now)
    assert len(list((loaded.settings.warehouse / ".failed" / "a").rglob("*.parquet"))) == len(kept)
    assert remove(loaded, now=now + timedelta(days=8)) == len(kept)
    assert list((loaded.settings.warehouse / ".failed" / "a").iterdir()) == []


def test_what_is_counted_as_removed_is_gone(loaded: Chain) -> None:
    now = after(0)
    note = refused(loaded, "a", "day=2025-01-02", age=0, now=now).parent / "notes.txt"
    note.touch()
    os.utime(note, (0, 0))
    assert remove(loaded, now=now) == (0 if note.exists() else 1)


# what killed processes left


def left_behind(path: Path, *, age: timedelta, now: datetime) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    then = (now - age).timestamp()
    os.utime(path, (then, then))
    return path


UNFINISHED = f".{'0a' * 16}.tmp"
PLACES = [
    "warehouse/.log/a",
    "warehouse/.state/a",
    "warehouse/.versions/a/day=2025-01-02",
    "warehouse/.cursors/a",
    "landing/accepted",
    "landing/.progress/a",
    "landing/done",
]


@pytest.mark.parametrize("place", PLACES)
def test_what_was_never_finished_goes_a_day_later(loaded: Chain, place: str) -> None:
    now, home = after(0), loaded.settings.home
    old = left_behind(home / place / UNFINISHED, age=timedelta(days=1, seconds=1), now=now)
    young = left_behind(home / place / UNFINISHED.replace("a", "b"), age=timedelta(hours=23), now=now)
    assert remove_unfinished(loaded.settings, now=now) == 1
    assert (old.exists(), young.exists()) == (False, True)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"landing/{UNFINISHED}", id="in the drop folder, where others write"),
        pytest.param(f"warehouse/a/{UNFINISHED}", id="in a table"),
        pytest.param("warehouse/.state/a/.notes.tmp", id="of another name"),
        pytest.param("warehouse/.state/a/head.json", id="what is known of a table"),
        pytest.param(f"warehouse/.state/a/{UNFINISHED[1:]}", id="not hidden"),
    ],
)
def test_what_is_not_ours_or_is_finished_stays_however_old_it_is(loaded: Chain, name: str) -> None:
    file = left_behind(loaded.settings.home / name, age=timedelta(days=1000), now=after(0))
    assert remove_unfinished(loaded.settings, now=after(0)) == 0
    assert file.read_text() == "half"


def test_on_a_home_in_order_there_is_nothing_to_remove(loaded: Chain) -> None:
    undone(loaded, corrected(loaded))
    before = sorted(loaded.settings.home.rglob("*"))
    assert remove_unfinished(loaded.settings, now=after(1000)) == 0
    assert sorted(loaded.settings.home.rglob("*")) == before
