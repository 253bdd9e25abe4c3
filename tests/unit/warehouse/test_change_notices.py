"""Notices of change: what was noted comes back, oldest first, and is whole or not there."""

from __future__ import annotations

import errno
import json
import os
import threading
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.settings import Settings
from reloads.warehouse.change_notices import read_notices, write_notice
from tests.support.chain import Chain
from tests.support.sales_home import SalesHome

STAMP = 1_735_732_800_000_000_000
DAYS = st.lists(st.dates(date(2024, 1, 1), date(2025, 12, 31)), max_size=8).map(Days.of)
REQUESTS = st.dictionaries(st.text(max_size=8), DAYS, max_size=3)
FIRST = Days.of([date(2025, 1, 1)])


def folder_of(warehouse: Path, table: str = "a") -> Path:
    return warehouse / ".changes" / table


@given(notices=st.dictionaries(st.integers(STAMP, 2 * STAMP), st.tuples(DAYS, REQUESTS), max_size=5))
def test_notices_come_back_as_they_were_written_and_oldest_first(
    notices: dict[int, tuple[Days, dict[str, Days]]],
) -> None:
    with TemporaryDirectory() as folder:
        for stamp, (days, requests) in notices.items():
            write_notice(Path(folder), "a", stamp, days=days, requests=requests)
        read_back = [(notice.id, notice.days, notice.requests) for notice in read_notices(Path(folder), "a")]
    assert read_back == [(f"a/{stamp}", *notices[stamp]) for stamp in sorted(notices)]


def test_a_table_that_never_changed_has_none(tmp_path: Path) -> None:
    assert read_notices(tmp_path, "a") == []
    assert list(tmp_path.iterdir()) == []


def test_the_notices_of_one_table_are_not_those_of_another(tmp_path: Path) -> None:
    write_notice(tmp_path, "a", STAMP, days=FIRST, requests={})
    write_notice(tmp_path, "ab", STAMP, days=FIRST, requests={})
    assert [notice.id for table in ("a", "ab", "b") for notice in read_notices(tmp_path, table)] == [
        f"a/{STAMP}",
        f"ab/{STAMP}",
    ]


def test_a_notice_is_gone_once_its_file_is(tmp_path: Path) -> None:
    for later in range(3):
        write_notice(tmp_path, "a", STAMP + later, days=FIRST, requests={})
    read_notices(tmp_path, "a")[1].path.unlink()
    assert [notice.id for notice in read_notices(tmp_path, "a")] == [f"a/{STAMP}", f"a/{STAMP + 2}"]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_disk_that_takes_no_notice_is_left_without_a_part_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    write_notice(tmp_path, "a", STAMP, days=FIRST, requests={})
    with monkeypatch.context() as patch:
        patch.setattr(os, {"rename": "replace"}.get(step, step), full)
        with pytest.raises(OperatorError, match=r"cannot be written \(No space left on device\); make room"):
            write_notice(tmp_path, "a", STAMP + 1, days=FIRST, requests={})
    assert [path.name for path in folder_of(tmp_path).iterdir()] == [f"{STAMP}.json"]


def test_a_notice_that_is_being_written_is_none_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: seen.append(read_notices(tmp_path, "a")))
        write_notice(tmp_path, "a", STAMP, days=FIRST, requests={})
    assert seen[0] == []
    assert len(read_notices(tmp_path, "a")) == 1


WHOLE = json.dumps({"days": ["2025-01-01"], "requests": {"r": ["2025-01-01"]}})


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param(WHOLE[:-5], id="cut off"),
        pytest.param("\0" * 64, id="zeros"),
        pytest.param("{}", id="nothing in it"),
        pytest.param("[]", id="a list"),
        pytest.param('{"days": 5, "requests": {}}', id="days are a number"),
        pytest.param('{"days": ["soon"], "requests": {}}', id="days are no days"),
        pytest.param('{"days": [], "requests": []}', id="requests are a list"),
    ],
)
def test_a_spoilt_one_is_one_sentence_for_the_operator(tmp_path: Path, text: str) -> None:
    write_notice(tmp_path, "a", STAMP, days=FIRST, requests={})
    (folder_of(tmp_path) / f"{STAMP}.json").write_text(text)
    with pytest.raises(OperatorError, match=rf"{STAMP}\.json [^\n]*; restore the file, or remove it"):
        read_notices(tmp_path, "a")


def test_one_that_cannot_be_read_is_one_sentence_for_the_operator(tmp_path: Path) -> None:
    (folder_of(tmp_path) / f"{STAMP}.json").mkdir(parents=True)
    with pytest.raises(OperatorError, match=rf"{STAMP}\.json cannot be read \(Is a directory\); grant access to it"):
        read_notices(tmp_path, "a")


# as publishing writes them


def test_the_notice_of_a_publication_is_there_before_the_first_file_changes(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = chain.ask("a", "2025-01-01", "2025-01-03")
    seen: dict[str, list[Days]] = {}
    replace = os.replace

    def look(source: Path, target: Path) -> None:
        if Path(target).name == "data.parquet":
            written = (chain.settings.warehouse / ".changes" / "a").glob("*.json")
            seen[str(target)] = [Days.parse(json.loads(path.read_text())["days"]) for path in written]
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", look)
        chain.rewrite("a", chain.plan("a"))
    assert list(seen.values()) == [[Days.between(date(2025, 1, 1), date(2025, 1, 3))]] * 3
    [notice] = read_notices(chain.settings.warehouse, "a")
    assert notice.requests == {asked.id: notice.days}


def test_a_notice_is_read_once_its_publication_came_to_an_end(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    # Who acted upon it before would find that nothing changed, and remove it.
    chain.ask("a", "2025-01-01")
    happened: list[str] = []
    real = os.replace

    def read() -> None:
        happened.extend(["read"] * len(read_notices(chain.settings.warehouse, "a")))

    reader = threading.Thread(target=read)

    def replace(source: Path, target: Path) -> None:
        if Path(target).name == "data.parquet":
            reader.start()
            reader.join(timeout=1)  # it ends at once if nothing holds it
            happened.append("published")
        real(source, target)

    batches = chain.plan("a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        chain.rewrite("a", batches)
    reader.join()
    assert happened == ["published", "read"]


def test_publications_leave_notices_in_their_order(sales_settings: Settings) -> None:
    home = SalesHome(sales_settings)
    changed_days = [Days.of([date(2025, 1, 9) - timedelta(days=n)]) for n in range(4)]
    for days in changed_days:
        home.rewrite(days)
    assert [notice.days for notice in read_notices(home.warehouse, "sales")] == changed_days
