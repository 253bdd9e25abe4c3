"""Upkeep: what is kept for a while goes when its time is over, and nothing else does."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reloads.errors import RequestError
from reloads.requests.record import Record
from reloads.runs.retention import remove_expired, remove_unfinished
from reloads.tables.definition import load_table
from reloads.warehouse.history import History
from tests.support.chain import Chain
from tests.support.undo_history import AMOUNTS, corrected, loaded, published, undone

__all__ = ["loaded"]


def after(days: float) -> datetime:
    """So many days from now, which is when history is stamped."""
    return datetime.now(UTC) + timedelta(days=days)


def refused(chain: Chain, table: str, name: str, *, age: float, now: datetime) -> Path:
    """Rows that a check refused so many days before ``now``."""
    folder = chain.settings.warehouse / ".failed" / table / name
    folder.mkdir(parents=True)
    (folder / "data.parquet").write_text("rows")
    then = (now - timedelta(days=age)).timestamp()
    for path in (folder / "data.parquet", folder):
        os.utime(path, (then, then))
    return folder


def history(chain: Chain, table: str = "a") -> History:
    return History(chain.settings.warehouse, table)


def test_refused_rows_stay_while_one_file_of_their_day_is_young(loaded: Chain) -> None:
    now = after(0)
    place = refused(loaded, "shops", "day=2025-01-02", age=8, now=now)
    os.utime(place / "data.parquet", (now.timestamp(), now.timestamp()))
    assert remove_expired(loaded.settings, load_table(loaded.settings.tables, "shops"), now=now) == 0
    assert place.exists()


# history


def test_what_was_replaced_longer_ago_than_history_days_is_gone_and_undo_says_so(loaded: Chain) -> None:
    request, now = corrected(loaded), published(loaded)
    assert remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=after(7.01)) == 6
    assert (history(loaded).kept(), history(loaded).acts()) == ([], {})
    sentence = f"^nothing of a that '{request.id}' replaced is kept: .* more than 7 days ago; ask for a reload instead$"
    with pytest.raises(RequestError, match=sentence):
        undone(loaded, request)
    assert published(loaded) == now


def test_what_was_replaced_within_history_days_stays_and_can_be_undone(loaded: Chain) -> None:
    before, request = published(loaded), corrected(loaded)
    kept, acts = history(loaded).kept(), history(loaded).acts()
    assert remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=after(6.99)) == 0
    assert (history(loaded).kept(), history(loaded).acts()) == (kept, acts)
    undone(loaded, request)
    assert published(loaded) == before


def test_of_two_requests_only_the_one_whose_days_are_over_goes(loaded: Chain) -> None:
    _aged(loaded, days=5)
    request = corrected(loaded)
    assert remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=after(3)) == 4
    assert [list(act.requests) for act in history(loaded).acts().values()] == [[request.id]]
    assert len(history(loaded).kept()) == 2


def _aged(chain: Chain, *, days: int) -> None:
    """As if everything so far had been replaced so many days earlier."""
    for path in history(chain).folder.iterdir():
        stamp, _, rest = path.name.partition(".")
        path.rename(path.with_name(f"{int(stamp) - days * 86_400 * 10**9}.{rest}"))


def test_a_table_that_keeps_nothing_any_more_loses_what_it_had_kept(loaded: Chain) -> None:
    request = corrected(loaded)
    loaded.define("a", AMOUNTS, "history_days = 0")
    assert remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=after(0.001)) == 6
    with pytest.raises(RequestError, match="more than 0 days ago"):
        undone(loaded, request)


def test_a_request_whose_record_is_gone_too_is_unknown_then(loaded: Chain) -> None:
    request = corrected(loaded)
    (loaded.settings.landing / "done" / f"{request.id}.json").unlink()
    remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=after(8))
    with pytest.raises(RequestError, match=f"'{request.id}' is not a request; reloads status lists them"):
        undone(loaded, request)


def test_only_the_history_of_that_table_goes(loaded: Chain) -> None:
    kept = history(loaded, "shops").kept()
    remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=after(100))
    assert history(loaded, "shops").kept() == kept


def test_each_run_of_a_table_sees_to_it(loaded: Chain) -> None:
    _aged(loaded, days=10_000)
    request = corrected(loaded)
    assert [list(act.requests) for act in history(loaded).acts().values()] == [[request.id]]


def test_a_table_without_anything_kept_needs_no_upkeep_and_gets_no_folder(chain: Chain) -> None:
    assert remove_expired(chain.settings, load_table(chain.settings.tables, "a"), now=after(0)) == 0
    assert list(chain.settings.warehouse.iterdir()) == []


# refused rows


def test_refused_rows_go_after_the_days_and_nothing_else_does(loaded: Chain) -> None:
    now, files = after(0), published(loaded)
    old = refused(loaded, "a", "day=2025-01-02", age=7.01, now=now)
    young = refused(loaded, "a", "day=2025-01-03", age=6.99, now=now)
    of_another = refused(loaded, "shops", "day=2025-01-02", age=100, now=now)
    assert remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=now) == 1
    assert (old.exists(), young.exists(), of_another.exists()) == (False, True, True)
    assert (young / "data.parquet").read_text() == "rows"
    assert published(loaded) == files
    assert len(history(loaded).kept()) == 4


def test_refused_rows_of_a_table_without_history_are_there_for_a_day(chain: Chain) -> None:
    chain.define("a", AMOUNTS, "history_days = 0")
    now = after(0)
    old = refused(chain, "a", "day=2025-01-02", age=1.01, now=now)
    young = refused(chain, "a", "day=2025-01-03", age=0.99, now=now)
    assert remove_expired(chain.settings, load_table(chain.settings.tables, "a"), now=now) == 1
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
    assert remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=now) == 0
    assert (
        remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=now + timedelta(days=8))
        == len(kept) + 4
    )
    assert list((loaded.settings.warehouse / ".failed" / "a").iterdir()) == []


def test_what_is_counted_as_removed_is_gone(loaded: Chain) -> None:
    note = refused(loaded, "a", "day=2025-01-02", age=0, now=after(0)).parent / "notes.txt"
    note.touch()
    os.utime(note, (0, 0))
    assert remove_expired(loaded.settings, load_table(loaded.settings.tables, "a"), now=after(0)) == (
        0 if note.exists() else 1
    )


# what killed processes left


def left_behind(path: Path, *, age: timedelta, now: datetime) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("half")
    then = (now - age).timestamp()
    os.utime(path, (then, then))
    return path


UNFINISHED = f".{'0a' * 16}.tmp"
PLACES = ["warehouse/.ledger", "warehouse/.history/a", "warehouse/.changes/a", "landing/accepted", "landing/done"]


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
        pytest.param("warehouse/.ledger/.notes.tmp", id="of another name"),
        pytest.param("warehouse/.ledger/a.json", id="a ledger"),
        pytest.param(f"warehouse/.ledger/{UNFINISHED[1:]}", id="not hidden"),
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
