"""History: what publishing replaced is kept for a while, costs no disk as long as it is published, stamped in order."""

from __future__ import annotations

import errno
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import hypothesis
import pytest
from hypothesis import strategies as st

from reloads.days import Days
from reloads.errors import OperatorError
from reloads.files import link_or_copy
from reloads.rewriting.stage import LONGEST_NAME
from reloads.warehouse.history import DAY_NS, Act, History, Kept
from reloads.warehouse.partition_name import LedgerName, PartitionName, SliceName

NOW = datetime(2025, 3, 1, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9
DAY = Days.of([date(2025, 1, 1)])
NAME = PartitionName("day", date(2025, 1, 1))
MICROSECOND = 1000


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path / "warehouse", "sales")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A partition's file."""
    path = tmp_path / "warehouse" / "sales" / "day=2025-01-01" / "data.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x" * 1000)
    os.utime(path, ns=(5, 7))
    return path


def act(history: History, stamp: int, *files: tuple[str, Path], request: str = "r") -> int:
    history.begin(stamp, Act({request: DAY}, "run/1"))
    for partition, file in files:
        history.keep(stamp, PartitionName.parse(partition), file)
    return stamp


def clock(now: int) -> Any:
    return patch("time.time_ns", lambda: now)


# stamps


def test_the_first_stamp_is_the_time(history: History) -> None:
    with clock(NOW_NS):
        assert history.next_stamp() == NOW_NS


@pytest.mark.parametrize("later", [0, -1, -DAY_NS, -NOW_NS])
def test_a_stamp_is_later_than_all_before_it_whatever_the_clock_does(history: History, later: int) -> None:
    with clock(NOW_NS):
        act(history, history.next_stamp())
    with clock(NOW_NS + later):
        assert history.next_stamp() == NOW_NS + MICROSECOND


@hypothesis.given(times=st.lists(st.integers(0, 2 * NOW_NS), min_size=2, max_size=8))
def test_acts_are_read_in_the_order_in_which_they_happened(
    times: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    history = History(tmp_path_factory.mktemp("warehouse"), "sales")
    for number, now in enumerate(times):
        with clock(now):
            stamp = act(history, history.next_stamp(), ("day=2025-01-01", Path("nowhere")), request=f"r{number}")
        assert stamp > now - MICROSECOND
        assert stamp % MICROSECOND == 0, "a file system may keep no more of a file's time"
    in_order = [f"r{number}" for number in range(len(times))]
    assert [name for one in history.acts().values() for name in one.requests] == in_order
    assert [kept.stamp for kept in history.kept()] == list(history.acts())


def test_the_file_of_an_act_without_its_record_counts_as_well(history: History, file: Path) -> None:
    act(history, NOW_NS, ("day=2025-01-01", file))
    (history.folder / f"{NOW_NS}.json").unlink()
    with clock(5):
        assert history.next_stamp() == NOW_NS + MICROSECOND


# what is kept


def test_a_table_without_history_has_none(history: History) -> None:
    assert (history.kept(), history.acts(), history.bytes(), history.expire(now=NOW, days=0)) == ([], {}, 0, 0)
    assert not history.folder.exists()


def test_an_act_is_read_as_it_was_written(history: History) -> None:
    days = Days.between(date(2025, 1, 1), date(2025, 1, 3)) | Days.of([date(2025, 2, 1)])
    before: dict[LedgerName, dict[str, object]] = {NAME: {"version": "v", "inputs": {"a": "ü"}, "rows": 3}}
    written = Act({"r1": days, "r'2 \N{SNOWMAN}": DAY}, "run/1", before, (NAME, SliceName(NAME, 0, 2)))
    history.begin(1, written)
    assert history.acts() == {1: written}


def test_the_file_that_is_replaced_is_kept_with_its_bytes_and_its_time(history: History, file: Path) -> None:
    act(history, NOW_NS, ("day=2025-01-01", file))
    content = file.read_bytes()
    (beside := file.with_name("new")).write_bytes(b"new")
    beside.replace(file)
    [kept] = history.kept()
    assert kept == Kept(NAME, NOW_NS, kept.file)
    assert kept.replaced_at == NOW
    assert kept.file
    assert (kept.file.read_bytes(), kept.file.stat().st_mtime_ns) == (content, 7)


def test_that_there_was_no_file_is_kept_too(history: History, tmp_path: Path) -> None:
    act(history, 1, ("day=2025-01-01", tmp_path / "nowhere" / "data.parquet"))
    assert history.kept() == [Kept(NAME, 1, None)]


@hypothesis.example(values=["a%2Fb", "%41"])
@hypothesis.given(
    values=st.lists(
        st.text(st.characters(exclude_characters="\0/", codec="utf-8"), max_size=12), min_size=1, max_size=3
    )
)
def test_any_name_that_a_partition_may_have_is_kept(
    values: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    history = History(tmp_path_factory.mktemp("warehouse"), "sales")
    name = "/".join(["day=2025-01-01", *(f"k{number}={value}" for number, value in enumerate(values))])
    hypothesis.assume(len(quote(name, safe="=")) <= LONGEST_NAME)
    act(history, 1, (name, Path("nowhere")))
    assert [str(kept.partition) for kept in history.kept()] == [name]


def test_everything_is_listed_oldest_first(history: History, file: Path) -> None:
    for stamp in (10, 9, 100):
        act(history, stamp, ("day=2025-01-02", file), ("day=2025-01-01", file))
    listed = [(kept.stamp, str(kept.partition)[-1]) for kept in history.kept()]
    assert listed == [(9, "1"), (9, "2"), (10, "1"), (10, "2"), (100, "1"), (100, "2")]
    assert list(history.acts()) == [9, 10, 100]


def test_files_of_somebody_else_in_the_folder_are_left_alone(history: History, file: Path) -> None:
    act(history, NOW_NS, ("day=2025-01-01", file))
    for name in ("notes.txt", ".123.tmp", "README.parquet"):
        (history.folder / name).touch()
    assert len(history.kept()) == 1
    assert history.expire(now=NOW + timedelta(days=9), days=1) == 1
    assert sorted(path.name for path in history.folder.iterdir()) == [".123.tmp", "README.parquet", "notes.txt"]


def test_an_act_that_somebody_spoilt_is_named(history: History) -> None:
    act(history, 1)
    (history.folder / "1.json").write_text("{")
    with pytest.raises(OperatorError, match=r"1\.json is not JSON .*; restore the file, or remove it"):
        history.acts()


# how long


def test_what_was_replaced_within_the_days_stays_and_what_is_older_goes_with_its_act(
    history: History, file: Path
) -> None:
    stamps = [NOW_NS - 7 * DAY_NS + later for later in (-DAY_NS, -1, 0, 1, DAY_NS)]
    for stamp in stamps:
        act(history, stamp, ("day=2025-01-01", file), ("day=2025-01-02", file.with_name("none")))
    assert history.expire(now=NOW, days=7) == 4
    assert list(history.acts()) == stamps[2:]
    assert [kept.stamp for kept in history.kept()] == [stamp for stamp in stamps[2:] for _ in range(2)]
    assert history.expire(now=NOW, days=7) == 0
    assert file.exists()


def test_nothing_is_kept_for_no_days(history: History, file: Path) -> None:
    act(history, NOW_NS - 1, ("day=2025-01-01", file))
    assert history.expire(now=NOW, days=0) == 1
    assert list(history.folder.iterdir()) == []


def test_no_file_is_ever_without_its_act_when_an_expiry_dies(history: History, file: Path) -> None:
    for stamp in (1, 2):
        act(history, stamp, ("day=2025-01-01", file), ("day=2025-01-02", file.with_name("none")))
    real, steps = os.unlink, 0
    while list(history.folder.iterdir()):
        done = 0

        def unlink(*args: Any, **more: Any) -> None:
            nonlocal done
            if done:
                raise InterruptedError
            done += 1
            real(*args, **more)

        with patch("os.unlink", unlink):
            try:
                history.expire(now=NOW, days=0)
            except InterruptedError:
                steps += 1
        assert {kept.stamp for kept in history.kept()} <= history.acts().keys()
    assert steps == 5


# disk


def test_history_costs_nothing_while_the_file_is_published_as_well(history: History, file: Path) -> None:
    stamp = act(history, 1, ("day=2025-01-01", file))
    own = (history.folder / f"{stamp}.json").stat().st_size
    assert history.bytes() == own
    (beside := file.with_name("new")).write_bytes(b"new")
    beside.replace(file)
    assert history.bytes() == own + 1000


@pytest.mark.parametrize("reason", [errno.EMLINK, errno.EPERM, errno.EXDEV, errno.EOPNOTSUPP])
def test_where_no_link_is_possible_it_is_a_copy_with_the_time(file: Path, tmp_path: Path, reason: int) -> None:
    def link(*_args: Any, **_more: Any) -> None:
        raise OSError(reason, os.strerror(reason))

    with patch("os.link", link):
        link_or_copy(file, tmp_path / "copy")
    status = (tmp_path / "copy").stat()
    assert ((tmp_path / "copy").read_bytes(), status.st_mtime_ns, status.st_nlink) == (file.read_bytes(), 7, 1)


def test_where_a_link_is_possible_it_is_the_same_file(file: Path, tmp_path: Path) -> None:
    link_or_copy(file, tmp_path / "link")
    assert (tmp_path / "link").samefile(file)


def test_a_file_that_is_not_there_is_neither_linked_nor_copied(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        link_or_copy(tmp_path / "nowhere", tmp_path / "link")
    assert list(tmp_path.iterdir()) == []


def test_half_a_copy_is_never_kept(history: History, file: Path) -> None:
    def half(source: Path, target: Path) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:1])
        raise OSError(28, "No space left on device")

    refused = OSError(1, "Operation not permitted")
    with patch("os.link", side_effect=refused), patch("shutil.copy2", half), pytest.raises(OSError, match="No space"):
        act(history, NOW_NS, ("day=2025-01-01", file))
    assert [path.name for path in history.folder.iterdir()] == [f"{NOW_NS}.json"]


def test_an_act_that_expires_while_acts_are_read_is_passed_over(history: History, file: Path) -> None:
    for stamp in (NOW_NS, 2 * NOW_NS):
        act(history, stamp, ("day=2025-01-01", file))
    real = Path.read_bytes

    def read(path: Path) -> bytes:
        path.unlink()
        return real(path)

    with patch("pathlib.Path.read_bytes", read):
        assert history.acts() == {}
