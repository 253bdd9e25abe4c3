"""What an undo would put back is what it then puts back, and to look writes nothing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from reloads.errors import RequestError
from reloads.inspection.undo_preview import SOMEBODY, Later, PutBack, UndoPreview, preview_undo
from reloads.requests.record import Record
from reloads.runs.undo import undo_request
from reloads.tables.catalog import Catalog
from tests.support.chain import NOW, Chain
from tests.support.undo_history import deliver, reload, tried_again

KEYED = "select day, amount, 'x' || (amount % 2) as shop from raw"


def rewritten(chain: Chain, first: str, last: str | None = None) -> Record:
    record = chain.ask("a", first, last, cascade=False)
    chain.run("a")
    return record


def preview(chain: Chain, text: str, *, force: bool = False) -> UndoPreview:
    return preview_undo(chain.settings, Catalog.load(chain.settings.tables), text, force=force)


def published(chain: Chain) -> dict[str, bytes]:
    """The content of each partition of the table ``a`` that has rows."""
    folder = chain.settings.warehouse / "a"
    return {str(path.parent.relative_to(folder)): path.read_bytes() for path in folder.rglob("data.parquet")}


def states(home: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in home.rglob("*")}


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("query", ["select day, amount from raw", KEYED], ids=["days", "keys"])
def test_what_is_shown_is_what_is_put_back(chain: Chain, query: str, *, force: bool) -> None:
    chain.define("a", query, 'keys = ["shop"]' if query == KEYED else "")
    rewritten(chain, "2025-01-01", "2025-01-02")
    for day in ("2025-01-01", "2025-01-02", "2025-01-03"):
        chain.deliver(day, 100)
    record = rewritten(chain, "2025-01-01", "2025-01-03")
    chain.deliver("2025-01-02", 101)
    later = rewritten(chain, "2025-01-02")
    before = published(chain)

    shown = preview(chain, record.id, force=force)
    undo_request(chain.settings, record.id, force=force, now=NOW)

    after = published(chain)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert {each.partition for each in shown.back} == changed
    assert {each.partition for each in shown.back if each.rows_after is None} == changed - after.keys()
    assert {each.request for each in shown.later} == (set() if force else {later.id})


def test_a_partition_that_has_no_rows_and_had_none_is_put_back_and_not_removed(chain: Chain) -> None:
    chain.define("a", KEYED, 'keys = ["shop"]')
    for amount in (2, 3):
        deliver(chain, "2025-01-02", amount)
        reload(chain, "a", "2025-01-02")
    record = tried_again(chain, "2025-01-02", 4, 3)
    assert preview(chain, record.id).back == [
        PutBack("a", "day=2025-01-02/shop=x0", 0, 0),
        PutBack("a", "day=2025-01-02/shop=x1", 1, 1),
    ]


def test_to_look_writes_nothing(chain: Chain) -> None:
    record = rewritten(chain, "2025-01-01")
    before = states(chain.settings.home)
    assert preview(chain, record.id).back == [PutBack("a", "day=2025-01-01", 1, None)]
    assert states(chain.settings.home) == before


def test_a_file_that_somebody_put_there_stays_unless_it_is_forced(chain: Chain) -> None:
    record = rewritten(chain, "2025-01-01", "2025-01-02")
    file = chain.settings.warehouse / "a" / "day=2025-01-01" / "data.parquet"
    file.unlink()
    with duckdb.connect() as db:
        db.execute("copy (select date '2025-01-01' as day, 5 as amount) to $1 (format parquet)", [str(file)])

    shown = preview(chain, record.id)
    assert [each.partition for each in shown.back] == ["day=2025-01-02"]
    assert shown.later == [Later("a", "day=2025-01-01", SOMEBODY)]
    assert len(preview(chain, record.id, force=True).back) == 2

    [undo] = undo_request(chain.settings, record.id, force=False, now=NOW)
    assert undo.published.texts() == ["2025-01-02"]


def test_where_all_is_back_or_was_never_changed_the_sentence_says_so(chain: Chain) -> None:
    record = rewritten(chain, "2025-01-01")
    again = rewritten(chain, "2025-01-01")
    assert (preview(chain, again.id).sentence or "").startswith(f"nothing of a that '{again.id}' replaced is kept")
    undo_request(chain.settings, record.id, force=False, now=NOW)
    assert (preview(chain, record.id).sentence or "").startswith(f"what '{record.id}' replaced in a is back already")


@pytest.mark.parametrize("name", ["nothing", "nothing.json"])
def test_an_unknown_request_is_an_error(chain: Chain, name: str) -> None:
    with pytest.raises(RequestError, match="is not a request"):
        preview(chain, name)
