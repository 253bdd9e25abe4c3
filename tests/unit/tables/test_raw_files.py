"""Raw files: a look finds the files of a day and nothing else, knows one that changed, and says why a day waits."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import Days
from reloads.raw_file import RawFile
from reloads.tables.file_sources import FileSource
from reloads.tables.raw_files import DayFiles, RawFiles, days_to_look_at
from tests.support.process_kill import SCRATCH
from tests.support.raw_trees import Tree, check_look, days_around, put, source_of, sources, table_of, trees

DAY = date(2024, 2, 29)
STABLE_SECONDS = 30.0
YEARS_LATER = 10_000_000_000.0
"""A time at which all files of the tests are old."""
FLIGHTS = "flights/{day}/flights.csv"
PARTS = "clicks/{day}/*.csv"


def look(source: Path, files: str, *, at: float = YEARS_LATER, day: date = DAY, **settings: Any) -> DayFiles:
    """A new look at a day, so many seconds after 1970."""
    raw_files = RawFiles(source, stable_seconds=STABLE_SECONDS, clock=lambda: at)
    return raw_files.of_day(table_of(source_of(files, **settings)), day)


def age(file: Path, seconds: float) -> float:
    """The time at which nobody has touched the file for so many seconds."""
    return file.stat().st_ctime + seconds


# --- which files a day has ------------------------------------------------------------------------------------------


@given(
    trees(),
    st.lists(st.tuples(sources(), st.integers(1, 40)), max_size=3),
    st.lists(days_around, min_size=1, max_size=4),
)
def test_a_look_at_the_paths_of_days_finds_what_a_walk_of_the_whole_tree_finds(
    tree: Tree, read: list[tuple[FileSource, int]], days: list[date]
) -> None:
    home = Path(tempfile.mkdtemp(dir=SCRATCH))
    try:
        tree.write(home)
        raw_files = RawFiles(home, stable_seconds=STABLE_SECONDS, clock=lambda: YEARS_LATER)
        table = check_look(tree, raw_files, read, days)
        for number, (source, window) in enumerate(read):
            wanted = [day - timedelta(days=back) for day in days for back in range(window)]
            paths = raw_files.names_of(table, f"s{number}", Days.of(days))
            assert sorted(paths) == sorted(str(home / path) for path in tree.of(source, Days.of(wanted)))
    finally:
        shutil.rmtree(home)


def test_a_file_of_a_month_is_looked_at_once_for_all_its_days(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "weather/2024-02.csv", "weather/2024-01.csv")
    table = table_of(source_of("weather/{month}.csv", compare="content"), windows=(40,))
    raw_files = RawFiles(tmp_path, stable_seconds=0, clock=lambda: YEARS_LATER)
    touched = record_touches(monkeypatch)
    for day in Days.between(date(2024, 2, 9), DAY):
        assert list(raw_files.of_day(table, day).files) == ["weather/2024-01.csv", "weather/2024-02.csv"]
    assert 1 <= touched.count(str(tmp_path / "weather/2024-02.csv")) < 5


def test_the_first_thing_that_is_missing_is_told_and_all_files_are(tmp_path: Path) -> None:
    put(tmp_path, f"flights/{DAY}/flights.csv", "flights/2024-02-27/flights.csv", "clicks/keep")
    table = table_of(source_of(FLIGHTS), source_of(PARTS), windows=(3, 1))
    found = RawFiles(tmp_path, stable_seconds=0).of_day(table, DAY)
    assert found.missing == "flights/2024-02-28/flights.csv is not there"
    assert sorted(found.files) == ["flights/2024-02-27/flights.csv", f"flights/{DAY}/flights.csv"]


def test_a_window_stops_where_the_calendar_does(tmp_path: Path) -> None:
    put(tmp_path, "0001-01-01.csv")
    table = table_of(source_of("{day}.csv"), windows=(366,))
    found = RawFiles(tmp_path, stable_seconds=0, clock=lambda: YEARS_LATER).of_day(table, date.min)
    assert (list(found.files), found.missing) == (["0001-01-01.csv"], "")


def test_without_sources_a_day_waits_for_nothing(tmp_path: Path) -> None:
    assert RawFiles(tmp_path / "away", stable_seconds=0).of_day(table_of(), DAY) == DayFiles()


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({}, date(2024, 3, 1)),
        ({"arrival_days": 0}, date(2024, 4, 1)),
        ({"arrival_days": 4000}, date(2024, 1, 1)),
        ({"first_day": date(2024, 3, 31)}, date(2024, 3, 31)),
        ({"first_day": date(2024, 4, 1)}, date(2024, 4, 1)),
        ({"first_day": date(2024, 4, 2)}, None),
    ],
    ids=str,
)
def test_the_days_to_look_at_end_today_and_begin_no_earlier_than_the_table(
    settings: dict[str, Any], first: date | None
) -> None:
    today = date(2024, 4, 1)
    expected = Days.between(first, today) if first else Days()
    assert days_to_look_at(table_of(**settings), today=today) == expected


# --- why a day waits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "settings", "there", "missing"),
    [
        pytest.param(FLIGHTS, {}, [], f"flights/{DAY}/flights.csv is not there", id="a file"),
        pytest.param(PARTS, {}, [], f"no file like clicks/{DAY}/*.csv is there", id="any file"),
        pytest.param(PARTS, {"marker": "clicks/{day}/ok"}, ["a.csv"], f"clicks/{DAY}/ok is not there", id="no marker"),
        pytest.param(
            PARTS,
            {"marker": "clicks/{day}/ok"},
            ["ok"],
            f"no file like clicks/{DAY}/*.csv is there, though clicks/{DAY}/ok is",
            id="a marker alone",
        ),
        pytest.param(
            PARTS,
            {"marker": "clicks/{day}/ok.csv"},
            ["ok.csv"],
            f"no file like clicks/{DAY}/*.csv is there, though clicks/{DAY}/ok.csv is",
            id="a marker that looks like a file",
        ),
        pytest.param(
            FLIGHTS.replace("flights", "clicks"),
            {"marker": "clicks/{day}/ok"},
            ["ok"],
            f"clicks/{DAY}/clicks.csv is not there, though clicks/{DAY}/ok is",
            id="a marker beside a file that is not there",
        ),
        pytest.param(PARTS, {"marker": "clicks/{day}/ok"}, ["a.csv", "ok"], "", id="marker and file"),
        pytest.param(PARTS, {"optional": True}, [], "", id="optional"),
        pytest.param(PARTS, {"optional": True, "marker": "clicks/{day}/ok"}, ["ok"], "", id="the sender had nothing"),
        pytest.param(
            PARTS,
            {"optional": True, "marker": "clicks/{day}/ok"},
            ["a.csv"],
            f"clicks/{DAY}/ok is not there",
            id="optional, and the sender is not through",
        ),
    ],
)
def test_a_day_without_its_files_says_what_is_not_there(
    tmp_path: Path, files: str, settings: dict[str, Any], there: list[str], missing: str
) -> None:
    put(tmp_path, "clicks/keep", "flights/keep", *(f"clicks/{DAY}/{name}" for name in there))
    found = look(tmp_path, files, **settings)
    assert (found.missing, found.is_unknown) == (missing, False)


def test_a_marker_is_no_file_of_the_day_even_where_it_looks_like_one(tmp_path: Path) -> None:
    put(tmp_path, f"clicks/{DAY}/a.csv", f"clicks/{DAY}/ok.csv")
    found = look(tmp_path, PARTS, marker="clicks/{day}/ok.csv")
    assert (list(found.files), found.missing) == ([f"clicks/{DAY}/a.csv"], "")


@pytest.mark.parametrize("kind", ["folder", "dangling link"])
def test_a_marker_is_a_file(tmp_path: Path, kind: str) -> None:
    marker = put(tmp_path, f"clicks/{DAY}/a.csv").with_name("ok")
    marker.mkdir() if kind == "folder" else marker.symlink_to("nowhere")
    assert look(tmp_path, PARTS, marker="clicks/{day}/ok").missing == f"clicks/{DAY}/ok is not there"


@pytest.mark.parametrize(
    ("seconds", "is_waited_for"),
    [(-3600, False), (-1, True), (0, True), (STABLE_SECONDS - 1, True), (STABLE_SECONDS + 1, False)],
)
@pytest.mark.parametrize("files", [FLIGHTS, PARTS.replace("clicks", "flights")])
def test_a_young_file_may_still_be_written(tmp_path: Path, files: str, seconds: float, *, is_waited_for: bool) -> None:
    file = put(tmp_path, f"flights/{DAY}/flights.csv")
    found = look(tmp_path, files, at=age(file, seconds))
    assert found.missing == (f"flights/{DAY}/flights.csv may still be written" if is_waited_for else "")
    assert not found.is_unknown
    assert list(found.files) == [f"flights/{DAY}/flights.csv"]


def test_an_old_time_on_a_young_file_does_not_make_it_old(tmp_path: Path) -> None:
    file = put(tmp_path, f"flights/{DAY}/flights.csv")
    os.utime(file, (1, 1))
    assert look(tmp_path, FLIGHTS, at=age(file, 1)).missing == f"flights/{DAY}/flights.csv may still be written"


def test_a_file_beside_its_marker_is_not_waited_for(tmp_path: Path) -> None:
    file = put(tmp_path, f"flights/{DAY}/flights.csv", f"flights/{DAY}/ok")
    assert look(tmp_path, FLIGHTS, at=age(file, 0), marker="flights/{day}/ok").missing == ""


@pytest.mark.parametrize("marker", [None, "flights/{day}/ok"])
@pytest.mark.parametrize(("seconds", "is_waited_for"), [(1.9, True), (2.1, False)])
def test_a_file_with_a_time_of_whole_seconds_rests_for_two_of_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    marker: str | None,
    seconds: float,
    *,
    is_waited_for: bool,
) -> None:
    real_stat, second = os.lstat, 1_700_000_000

    def coarse_stat(path: Any, **options: Any) -> os.stat_result:
        status = real_stat(path, **options)
        times = dict.fromkeys(("st_mtime_ns", "st_ctime_ns"), second * 10**9)
        return os.stat_result([*status[:7], second, second, second], times)

    put(tmp_path, f"flights/{DAY}/flights.csv", f"flights/{DAY}/ok")
    monkeypatch.setattr(os, "lstat", coarse_stat)
    raw_files = RawFiles(tmp_path, stable_seconds=0.1, clock=lambda: second + seconds)
    settings = {"marker": marker} if marker else {}
    found = raw_files.of_day(table_of(source_of(FLIGHTS, **settings)), DAY)
    assert found.missing == (f"flights/{DAY}/flights.csv may still be written" if is_waited_for else "")


def test_a_file_that_came_after_the_look_began_may_still_be_written(tmp_path: Path) -> None:
    now = [0.0]
    raw_files = RawFiles(tmp_path, stable_seconds=STABLE_SECONDS, clock=lambda: now[0])
    file = put(tmp_path, f"flights/{DAY}/flights.csv")
    now[0] = age(file, 1)
    found = raw_files.of_day(table_of(source_of(FLIGHTS)), DAY)
    assert found.missing == f"flights/{DAY}/flights.csv may still be written"
    assert found.files[f"flights/{DAY}/flights.csv"].content == ""


# --- a sender that is at it -----------------------------------------------------------------------------------------


class Listing(list[Any]):
    """A listing as ``os.scandir`` gives it."""

    def __enter__(self) -> Iterator[Any]:
        return iter(self)

    def __exit__(self, *error: object) -> None:
        pass


def act_after_listing(monkeypatch: pytest.MonkeyPatch, folder: Path, act: Callable[[], object]) -> None:
    """Let a sender act once, right behind the next listing of the folder."""
    list_folder = os.scandir
    acts = [act]

    def list_and_act(path: Any) -> Listing:
        with list_folder(path) as entries:
            listing = Listing(entries)
        if Path(path) == folder and acts:
            acts.pop()()
        return listing

    monkeypatch.setattr(os, "scandir", list_and_act)


def test_files_that_were_listed_before_the_marker_came_are_not_taken_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(tmp_path, f"clicks/{DAY}/a.csv").parent
    act_after_listing(monkeypatch, folder, lambda: put(folder, "b.csv", "ok"))
    assert look(tmp_path, PARTS, marker="clicks/{day}/ok").missing == f"clicks/{DAY}/ok is not there"
    assert len(look(tmp_path, PARTS, marker="clicks/{day}/ok").files) == 2


def test_a_marker_that_came_after_the_listing_for_another_day_has_its_own_listing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "2024-02-28-a.csv", "2024-02-28.ok", f"{DAY}-a.csv")
    # The second listing, as the first one is that of a folder that may be empty.
    act_after_listing(
        monkeypatch,
        tmp_path,
        lambda: act_after_listing(monkeypatch, tmp_path, lambda: put(tmp_path, f"{DAY}-b.csv", f"{DAY}.ok")),
    )
    raw_files = RawFiles(tmp_path, stable_seconds=STABLE_SECONDS, clock=lambda: YEARS_LATER)
    table = table_of(source_of("{day}-*.csv", marker="{day}.ok"))
    assert len(raw_files.of_day(table, date(2024, 2, 28)).files) == 1
    assert sorted(raw_files.of_day(table, DAY).files) == [f"{DAY}-a.csv", f"{DAY}-b.csv"]


@pytest.mark.parametrize("becomes", ["removed", "a folder", "a dangling link"])
def test_a_file_that_goes_behind_the_listing_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, becomes: str
) -> None:
    file = put(tmp_path, f"clicks/{DAY}/b.csv", f"clicks/{DAY}/a.csv")

    def go() -> None:
        file.unlink()
        if becomes == "a folder":
            file.mkdir()
        if becomes == "a dangling link":
            file.symlink_to("nowhere")

    act_after_listing(monkeypatch, file.parent, go)
    found = look(tmp_path, PARTS)
    assert (list(found.files), found.missing, found.is_unknown) == ([f"clicks/{DAY}/b.csv"], "", False)


# --- names and kinds of files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["a[1].csv", "a*.csv", "a?.csv", "ä.csv", "a b.csv", "a\nb.csv", "a'b.csv", "a\\b.csv", "[.csv", "!.csv"]
)
def test_a_name_may_hold_any_letter(tmp_path: Path, name: str) -> None:
    put(tmp_path, f"clicks/{DAY}/{name}")
    found = look(tmp_path, PARTS)
    assert (list(found.files), found.missing) == ([f"clicks/{DAY}/{name}"], "")


def test_brackets_in_a_template_are_letters(tmp_path: Path) -> None:
    put(tmp_path, f"[x]/{DAY}/a[1].csv", f"x/{DAY}/a1.csv")
    assert list(look(tmp_path, "[x]/{day}/*[1].csv").files) == [f"[x]/{DAY}/a[1].csv"]
    assert list(look(tmp_path, "[x]/{day}/a[1].csv").files) == [f"[x]/{DAY}/a[1].csv"]
    assert look(tmp_path, "[x]/{day}/a[2]?.csv").missing == f"no file like [x]/{DAY}/a[2]?.csv is there"


def test_hidden_files_are_not_seen_by_a_star(tmp_path: Path) -> None:
    put(tmp_path, f"clicks/{DAY}/.a.csv", f"clicks/.{DAY}/a.csv", f"clicks/{DAY}/.csv")
    assert look(tmp_path, PARTS).missing == f"no file like clicks/{DAY}/*.csv is there"
    assert look(tmp_path, "clicks/{day}/?csv").files == {}
    assert look(tmp_path, "clicks/*{day}/a.csv").files == {}
    assert list(look(tmp_path, "clicks/{day}/.*.csv").files) == [f"clicks/{DAY}/.a.csv"]


def test_a_name_that_is_not_utf_8_is_told_as_no_query_could_open_it(tmp_path: Path) -> None:
    put(tmp_path, f"clicks/{DAY}/a.csv", os.fsdecode(f"clicks/{DAY}/b".encode() + b"\xff.csv"))
    found = look(tmp_path, PARTS)
    rule = "has a name that is not UTF-8, which no query can open; rename it"
    assert (found.missing, found.is_unknown) == (f"clicks/{DAY}/b\\xff.csv {rule}", True)
    assert look(tmp_path, PARTS.replace("*", "a")).missing == ""


@pytest.mark.parametrize("files", [FLIGHTS, "flights/{day}/*.csv"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "dangling link", "file above"])
def test_what_is_no_file_is_not_there(tmp_path: Path, files: str, kind: str) -> None:
    path = tmp_path / f"flights/{DAY}/flights.csv"
    if kind == "file above":
        put(tmp_path, f"flights/{DAY}")
    else:
        path.parent.mkdir(parents=True)
        make: dict[str, Callable[[], object]] = {
            "folder": path.mkdir,
            "pipe": lambda: os.mkfifo(path),
            "dangling link": lambda: path.symlink_to("nowhere.csv"),
        }
        make[kind]()
    found = look(tmp_path, files, compare="content")
    assert "there" in found.missing
    assert (found.files, found.is_unknown) == ({}, False)


# --- links ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [FLIGHTS, "flights/{day}/*.csv"])
@pytest.mark.parametrize("linked", ["flights", f"flights/{DAY}", f"flights/{DAY}/flights.csv"])
def test_a_link_out_of_the_source_folder_is_refused(tmp_path: Path, files: str, linked: str) -> None:
    # A name that begins like that of the source folder.
    outside = tmp_path / "source-of-others"
    put(outside, f"flights/{DAY}/flights.csv")
    link = tmp_path / "source" / linked
    link.parent.mkdir(parents=True)
    link.symlink_to(outside / linked)
    found = look(tmp_path / "source", files)
    rule = "leads out of the source folder; put the file itself there"
    assert found == DayFiles({}, f"flights/{DAY}/flights.csv {rule}", is_unknown=True)


@pytest.mark.parametrize("files", [FLIGHTS, "flights/{day}/*.csv"])
@pytest.mark.parametrize("linked", ["flights", f"flights/{DAY}", f"flights/{DAY}/flights.csv"])
def test_a_link_within_the_source_folder_is_fine(tmp_path: Path, files: str, linked: str) -> None:
    put(tmp_path, f"all/flights/{DAY}/flights.csv", text="abc")
    link = tmp_path / linked
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "all" / linked)
    found = look(tmp_path, files)
    assert {path: file.size for path, file in found.files.items()} == {f"flights/{DAY}/flights.csv": 3}
    assert found.missing == ""


def test_the_source_folder_may_be_a_link(tmp_path: Path) -> None:
    put(tmp_path / "disk", f"flights/{DAY}/flights.csv")
    (tmp_path / "source").symlink_to("disk")
    assert list(look(tmp_path / "source", FLIGHTS).files) == [f"flights/{DAY}/flights.csv"]


def test_a_link_to_another_file_is_a_change(tmp_path: Path) -> None:
    put(tmp_path, "flights/1", text="abc")
    os.utime(put(tmp_path, "flights/2", text="xyz"), ns=((tmp_path / "flights/1").stat().st_mtime_ns,) * 2)
    link = tmp_path / f"flights/{DAY}/flights.csv"
    link.parent.mkdir()
    link.symlink_to("../1")
    before = look(tmp_path, FLIGHTS).files[f"flights/{DAY}/flights.csv"]
    link.unlink()
    link.symlink_to("../2")
    assert not look(tmp_path, FLIGHTS).files[f"flights/{DAY}/flights.csv"].is_same(before)


def test_a_circle_of_links_is_told(tmp_path: Path) -> None:
    link = put(tmp_path, f"flights/{DAY}/keep").with_name("flights.csv")
    link.symlink_to("flights.csv")
    found = look(tmp_path, FLIGHTS)
    cause = "cannot be looked at (Too many levels of symbolic links)"
    assert found == DayFiles({}, f"flights/{DAY}/flights.csv {cause}", is_unknown=True)


# --- a folder that is away ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"optional": True}, {"marker": "flights/{day}/ok"}], ids=str)
@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("away", "cannot be read (No such file or directory); mount it or grant access"),
        ("a file", "cannot be read (Not a directory); mount it or grant access"),
        ("a dangling link", "cannot be read (No such file or directory); mount it or grant access"),
        ("empty", "is empty; mount it, or put its files there"),
    ],
)
@pytest.mark.parametrize("files", [FLIGHTS, "flights/{day}/*.csv", "flights/*{day}*"])
def test_nothing_can_be_said_while_the_folder_of_a_source_is_away(
    tmp_path: Path, files: str, kind: str, fault: str, settings: dict[str, Any]
) -> None:
    folder = tmp_path / "flights"
    make: dict[str, Callable[[], object]] = {
        "away": lambda: None,
        "a file": folder.touch,
        "a dangling link": lambda: folder.symlink_to("nowhere"),
        "empty": folder.mkdir,
    }
    make[kind]()
    assert look(tmp_path, files, **settings) == DayFiles({}, f"the folder {folder} {fault}", is_unknown=True)


@pytest.mark.parametrize("kind", ["away", "empty"])
def test_nothing_can_be_said_while_the_source_folder_itself_is_away(tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    if kind == "empty":
        source.mkdir()
    for files in ("{day}.csv", "{day}/*.csv"):
        found = look(source, files)
        assert found.missing.startswith(f"the folder {source} ")
        assert found.is_unknown


@pytest.mark.parametrize("order", [(FLIGHTS, PARTS), (PARTS, FLIGHTS)], ids=["behind", "before"])
def test_one_folder_that_is_away_leaves_the_files_of_others_known(tmp_path: Path, order: tuple[str, str]) -> None:
    put(tmp_path, f"flights/{DAY}/flights.csv")
    raw_files = RawFiles(tmp_path, stable_seconds=0, clock=lambda: YEARS_LATER)
    found = raw_files.of_day(table_of(*map(source_of, order)), DAY)
    assert list(found.files) == [f"flights/{DAY}/flights.csv"]
    assert found.missing.startswith(f"the folder {tmp_path / 'clicks'} cannot be read")
    assert found.is_unknown


@pytest.fixture
def shared_source() -> Iterator[Path]:
    """A source folder that another user can reach."""
    home = Path(tempfile.mkdtemp(dir=SCRATCH))
    home.chmod(0o755)
    yield home
    shutil.rmtree(home)


@contextmanager
def without_right_to(path: Path) -> Iterator[None]:
    """Take all rights to a file or folder away; root, who has all, is somebody else meanwhile."""
    mode = path.stat().st_mode
    path.chmod(0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        path.chmod(mode)


DENIED = "(Permission denied)"


@pytest.mark.parametrize(
    ("denied", "files", "missing"),
    [
        ("flights", FLIGHTS, "the folder {source}/flights cannot be read " + DENIED + "; mount it or grant access"),
        (f"flights/{DAY}", FLIGHTS, f"flights/{DAY}/flights.csv cannot be looked at {DENIED}"),
        (
            f"flights/{DAY}",
            "flights/{day}/*.csv",
            f"the folder {{source}}/flights/{DAY} cannot be read {DENIED}; grant",
        ),
        (
            f"flights/{DAY}",
            "flights/*{day}/*.csv",
            f"the folder {{source}}/flights/{DAY} cannot be read {DENIED}; grant",
        ),
        (f"flights/{DAY}/flights.csv", FLIGHTS, f"flights/{DAY}/flights.csv cannot be read {DENIED}"),
    ],
)
def test_nothing_can_be_said_of_what_we_have_no_right_to(
    shared_source: Path, denied: str, files: str, missing: str
) -> None:
    put(shared_source, f"flights/{DAY}/flights.csv")
    with without_right_to(shared_source / denied):
        found = look(shared_source, files, compare="content")
    assert found.missing.startswith(missing.replace("{source}", str(shared_source)))
    assert (found.files, found.is_unknown) == ({}, True)


# --- a file that changed --------------------------------------------------------------------------------------------


def look_at_flights(source: Path, *, at: float = YEARS_LATER, **settings: Any) -> RawFile:
    return look(source, FLIGHTS, at=at, **settings).files[f"flights/{DAY}/flights.csv"]


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    """The file of the day, whose time is a whole even second, as some file systems keep no others."""
    file = put(tmp_path, f"flights/{DAY}/flights.csv", text="abc")
    os.utime(file, (1_700_000_000, 1_700_000_000))
    return file


def tick(file: Path) -> None:
    """Let the clock of the file system go on, as it stands still for some milliseconds."""
    beside = file.with_name("clock")
    beside.touch()
    while beside.stat().st_ctime_ns <= file.stat().st_ctime_ns:
        beside.touch()
    beside.unlink()


def write_and_put_the_time_back(file: Path, text: str) -> None:
    status = file.stat()
    tick(file)
    file.write_text(text)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("compare", ["times", "content"])
def test_an_untouched_file_is_the_same(tmp_path: Path, flights: Path, compare: str) -> None:
    before = look_at_flights(tmp_path, compare=compare)
    assert (before.size, before.modified_ns) == (3, 1_700_000_000_000_000_000)
    assert before.changed_ns == flights.stat().st_ctime_ns
    assert bool(before.content) is (compare == "content")
    assert look_at_flights(tmp_path, compare=compare).is_same(before)


@pytest.mark.parametrize("compare", ["times", "content"])
def test_other_bytes_are_known_though_size_and_time_are_put_back(tmp_path: Path, flights: Path, compare: str) -> None:
    before = look_at_flights(tmp_path, compare=compare)
    write_and_put_the_time_back(flights, "xyz")
    now = look_at_flights(tmp_path, compare=compare)
    assert (now.size, now.modified_ns) == (before.size, before.modified_ns)
    assert not now.is_same(before)


def test_another_file_moved_into_its_place_is_known_though_its_times_are_the_same(
    tmp_path: Path, flights: Path
) -> None:
    before = look_at_flights(tmp_path)
    other = put(tmp_path, "flights/beside", text="xyz")
    os.utime(other, (1_700_000_000, 1_700_000_000))
    tick(flights)
    other.replace(flights)
    assert not look_at_flights(tmp_path).is_same(before)


def test_the_same_bytes_written_again_are_the_same_by_content_and_not_by_times(tmp_path: Path, flights: Path) -> None:
    before = {compare: look_at_flights(tmp_path, compare=compare) for compare in ("times", "content")}
    tick(flights)
    flights.write_text("abc")
    assert look_at_flights(tmp_path, compare="content").is_same(before["content"])
    assert not look_at_flights(tmp_path, compare="times").is_same(before["times"])


def test_a_content_is_not_the_start_of_a_file_alone(tmp_path: Path, flights: Path) -> None:
    flights.write_text("a" * 3_000_000 + "b")
    before = look_at_flights(tmp_path, compare="content")
    write_and_put_the_time_back(flights, "a" * 3_000_000 + "c")
    assert not look_at_flights(tmp_path, compare="content").is_same(before)


@pytest.mark.parametrize("seconds", [0, -1, 4_000_000_000], ids=["none", "before 1970", "ahead"])
def test_a_file_with_a_time_that_cannot_be_true_is_compared_by_content(
    tmp_path: Path, flights: Path, seconds: int
) -> None:
    at = age(flights, STABLE_SECONDS + 1)
    os.utime(flights, (seconds, seconds))
    before = look_at_flights(tmp_path, at=at)
    assert before.content
    tick(flights)
    flights.write_text("abc")
    os.utime(flights, (seconds, seconds))
    assert look_at_flights(tmp_path, at=at).is_same(before)
    flights.write_text("xyz")
    os.utime(flights, (seconds, seconds))
    assert not look_at_flights(tmp_path, at=at).is_same(before)


def test_a_clock_that_is_a_little_behind_is_no_reason_to_read_a_file(tmp_path: Path, flights: Path) -> None:
    assert look_at_flights(tmp_path, at=age(flights, -1)).content == ""
    assert look_at_flights(tmp_path, at=age(flights, -10)).content != ""


# --- what a look costs ----------------------------------------------------------------------------------------------


class CountedListing:
    """A listing that counts each entry that is taken from it."""

    def __init__(self, entries: Any, taken: list[str]) -> None:
        self._entries = entries
        self._taken = taken

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._entries.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        entry = next(self._entries)
        self._taken.append(entry.path)
        return entry


def record_touches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are looked at, opened, listed, or met in a listing from now on."""
    touched: list[str] = []

    def recording(call: Callable[..., Any]) -> Callable[..., Any]:
        def record(path: Any, *arguments: Any, **options: Any) -> Any:
            touched.append(os.fspath(path))
            return call(path, *arguments, **options)

        return record

    list_folder = os.scandir

    def list_and_count(path: Any) -> CountedListing:
        touched.append(os.fspath(path))
        return CountedListing(list_folder(path), touched)

    for name in ("stat", "lstat", "open", "listdir", "readlink"):
        monkeypatch.setattr(os, name, recording(getattr(os, name)))
    monkeypatch.setattr(os, "scandir", list_and_count)
    return touched


@pytest.mark.parametrize(
    ("files", "settings"),
    [
        pytest.param(FLIGHTS, {}, id="a file"),
        pytest.param(FLIGHTS, {"marker": "flights/{day}/ok"}, id="a file and a marker"),
        pytest.param("flights/{day}/*.csv", {}, id="any file"),
        pytest.param("flights/{day}/*.csv", {"marker": "flights/{day}/ok", "compare": "content"}, id="all of it"),
    ],
)
def test_a_look_costs_with_the_days_it_looks_at_and_not_with_those_that_lie_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: str, settings: dict[str, Any]
) -> None:
    days = Days.between(DAY - timedelta(days=3650), DAY)
    for day in days:
        put(tmp_path, f"flights/{day}/flights.csv")
    asked = Days.between(DAY - timedelta(days=30), DAY)
    for day in asked:
        put(tmp_path, f"flights/{day}/ok")
    raw_files = RawFiles(tmp_path, stable_seconds=STABLE_SECONDS, clock=lambda: YEARS_LATER)
    table = table_of(source_of(files, **settings), windows=(3,))
    touched = record_touches(monkeypatch)
    for day in list(asked)[2:]:
        assert raw_files.of_day(table, day).missing == ""
    below = f"{tmp_path}/flights/"
    folders = {path.removeprefix(below)[:10] for path in touched if path.startswith(below)}
    assert folders >= {str(day) for day in asked}
    # One entry of the folder of all says that it is not empty.
    assert len(folders) <= len(asked) + 1
    assert len(touched) < 30 * len(asked)
