"""A look at the drop folder: good files are accepted, bad ones rejected with a sentence, and none is lost."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.days import DateRange, Days
from reloads.errors import OperatorError, RequestError
from reloads.outcome import Failure, Outcome
from reloads.requests import judgement
from reloads.requests.acceptance import ProcessedFiles, process_files
from reloads.requests.drop_folder import TAKEN, list_arrivals, list_request_files
from reloads.requests.judgement import read_requests
from reloads.requests.queue import Queue
from reloads.requests.watermark import write_watermark
from reloads.tables.catalog import Catalog

TODAY = date(2024, 7, 1)
REQUEST = {"table": "flights", "start_date": "2024-01-01", "end_date": "2024-01-31"}
GOOD = json.dumps(REQUEST).encode()
JANUARY = Days.between(date(2024, 1, 1), date(2024, 1, 31))
LONGEST_NAME = "x" * 250 + ".json"

Process = Callable[..., ProcessedFiles]


@pytest.fixture
def landing(queue: Queue) -> Path:
    return queue.landing


@pytest.fixture
def process(queue: Queue, catalog: Catalog) -> Process:
    """Process all files; ``seconds`` have passed since they were dropped."""

    def process(*, seconds: float = 60) -> ProcessedFiles:
        now = datetime.now(UTC) + timedelta(seconds=seconds)
        return process_files(queue, catalog=catalog, now=now, today=TODAY, stable_seconds=5)

    return process


def names_in(folder: Path) -> list[str]:
    """What is to be seen there; what is hidden is our own."""
    return sorted(path.name for path in folder.iterdir() if path.name[0] != ".") if folder.exists() else []


def taken_names(landing: Path) -> list[str]:
    return [file.name for file in list_arrivals(landing) if file.is_taken]


def dropped_names(landing: Path) -> list[str]:
    return [entry.name for entry in list_request_files(landing)]


# what is a candidate


@pytest.mark.parametrize("text", ["notes on our imports\nthe notes.json file was late\n", "notes.json waits: x\n"])
def test_a_text_of_somebody_else_is_left_alone_whatever_it_is_called(
    landing: Path, process: Process, text: str
) -> None:
    (landing / "notes.error.txt").write_text(text)
    (landing / "a.json").write_bytes(GOOD)
    process()
    assert (landing / "notes.error.txt").read_text() == text


@pytest.mark.parametrize("name", ["accepted", "rejected", ".taken", ".notes", ".watermarks"])
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_what_stands_where_a_folder_of_ours_has_to_be_is_moved_aside_and_holds_up_no_file(
    landing: Path, process: Process, name: str, kind: str
) -> None:
    if kind == "file":
        (landing / name).write_text("mine")
    else:
        (landing / name).symlink_to("nowhere")
    (landing / "bad.json").write_bytes(b"bad")
    (landing / "good.json").write_bytes(GOOD)
    files = process()
    assert [record.file for record in files.accepted] == ["good.json"]
    assert list(files.rejected) == ["bad.json"]
    write_watermark(landing, "daily", "flights", "2024-01-01")
    remains = [path for path in landing.iterdir() if not path.is_dir()]
    assert len(remains) == 1
    assert kind != "file" or remains[0].read_text() == "mine"


def test_hidden_and_other_files_are_left_alone(landing: Path, process: Process) -> None:
    names = [".hidden.json", "note.txt", "a.JSON", "b.json.part", "json", ".json"]
    for name in names:
        (landing / name).write_bytes(GOOD)
    assert process() == ProcessedFiles()
    assert sorted(path.name for path in landing.iterdir()) == sorted(names)


def test_a_missing_drop_folder_is_the_operators_to_mend(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"nowhere cannot be read \(No such file or directory\); make the folder"):
        list_request_files(tmp_path / "nowhere")


# good files


def test_a_good_file_leaves_the_folder_and_its_content_stays_in_the_record(
    landing: Path, process: Process, queue: Queue
) -> None:
    (landing / "june.json").write_bytes(GOOD)
    [record] = process().accepted
    assert (record.table, record.days, record.mode, record.file) == ("flights", JANUARY, "landing", "june.json")
    assert record.dropped == REQUEST
    assert queue.records("accepted") == [record]
    assert dropped_names(landing) == []


def test_a_good_file_is_taken_at_once(landing: Path, process: Process) -> None:
    (landing / "june.json").write_bytes(GOOD)
    assert len(process(seconds=0).accepted) == 1


def test_a_file_for_two_tables_and_a_list_become_a_record_each(landing: Path, process: Process) -> None:
    (landing / "a.json").write_text(json.dumps([REQUEST | {"table": ["flights", "events"]}, REQUEST]))
    accepted = process().accepted
    assert [record.table for record in accepted] == ["flights", "events", "flights"]
    assert len({record.id for record in accepted}) == 3


def test_one_bad_request_of_a_list_rejects_all_of_it_and_is_numbered(
    landing: Path, process: Process, queue: Queue
) -> None:
    (landing / "a.json").write_text(json.dumps([REQUEST, REQUEST | {"table": "x"}, REQUEST]))
    assert "a.json: request 2 of 3: table 'x' is unknown" in process().rejected["a.json"]
    assert queue.records("accepted") == []


def test_the_same_name_dropped_twice_makes_two_requests(landing: Path, process: Process, queue: Queue) -> None:
    for _ in range(2):
        (landing / "a.json").write_bytes(GOOD)
        assert len(process().accepted) == 1
    assert len(queue.records("accepted")) == 2


def test_two_files_of_one_content_make_two_requests(landing: Path, process: Process) -> None:
    (landing / "a.json").write_bytes(GOOD)
    (landing / "b.json").write_bytes(GOOD)
    assert len({record.id for record in process().accepted}) == 2


# bad files

BAD = {
    "not JSON": (b"table: flights", ["not JSON", "line 1 column 1", "mend it, like {"]),
    "empty": (b"", ["not JSON", "line 1 column 1", "mend it, like {"]),
    "truncated": (GOOD[:-9], ["not JSON", "line 1 column", "mend it, like {"]),
    "Latin-1": (GOOD[:-1] + ', "reason": "für"}'.encode("latin-1"), ["byte", "not UTF-8", "save the file as UTF-8"]),
    "UTF-16": (GOOD.decode().encode("utf-16"), ["byte 0", "not UTF-8", "save the file as UTF-8"]),
    "half a character": (GOOD[:-1] + rb', "reason": "\ud83d"}', ["half of a surrogate pair", "write whole characters"]),
    "half a character for a field": (rb'{"\ud83d": 1}', ["half of a surrogate pair", "write whole characters"]),
    "duplicate keys": (GOOD[:-1] + b', "table": "events"}', ['"table"', "twice", "keep one of them"]),
    "not a number": (GOOD[:-1] + b', "reason": NaN}', ["NaN is not JSON", "write a text"]),
    "endless number": (GOOD[:-1] + b', "parameters": {"a": 1e999}}', ["1e999 is too large", "write a smaller one"]),
    "huge number": (b"9" * 5000, ["is not a request", "4300 digits", "write it like {"]),
    "deep nesting": (b"[" * 100_000, ["nested more than 50 levels deep", "write it like {"]),
    "51 levels": (b'{"parameters": {"a": ' + b"[" * 49 + b"]" * 49 + b"}}", ["more than 50 levels deep", "like {"]),
    "a text": (b'"flights"', ['"flights" is not a request', "write an object like {"]),
    "empty list": (b"[]", ["list is empty", "write an object like {"]),
    "list in a list": (b"[[]]", ["[] is not a request", "write an object like {"]),
    "unknown field": (REQUEST | {"tabel": 1}, ['unknown field "tabel"', "known are table, start_date"]),
    "no such choice": (REQUEST | {"only": "new"}, ['only "new"', "not valid", "'all', 'missing' or 'stale'"]),
    "unknown table": (REQUEST | {"table": "fligths"}, ["'fligths' is unknown", "known tables are flights, "]),
    "path": (REQUEST | {"table": "../../etc"}, ["'../../etc' is unknown", "known tables are"]),
    "day without zeros": (REQUEST | {"start_date": "2024-1-1"}, ["'2024-1-1'", "YYYY-MM-DD", "write it like"]),
    "day without hyphens": (REQUEST | {"end_date": "20240131"}, ["end_date '20240131'", "YYYY-MM-DD", "write it like"]),
    "no such day": (REQUEST | {"end_date": "2024-02-30"}, ["end_date '2024-02-30'", "calendar", "a day that exists"]),
    "a time": (REQUEST | {"start_date": "2024-01-01T00:00"}, ["'2024-01-01T00:00'", "YYYY-MM-DD", "write it like"]),
    "a number": (REQUEST | {"start_date": 20240101}, ["start_date 20240101", "YYYY-MM-DD", "write it like"]),
    "null": (REQUEST | {"start_date": None}, ["start_date null", "YYYY-MM-DD", "write it like"]),
    "inverted": (REQUEST | {"end_date": "2023-12-31"}, ["2023-12-31 is before start_date 2024-01-01", "swap them"]),
    "future": (REQUEST | {"end_date": "2024-07-02"}, ["end_date 2024-07-02", "future", "to ask for is 2024-07-01"]),
    "before the first": (REQUEST | {"start_date": "2012-12-31"}, ["2012-12-31", "'flights'", "begin at 2013-01-01"]),
    "100,000 days": (
        {"table": "archive", "start_date": "1750-01-01", "end_date": "2023-10-16"},
        ["100000 days", "4000 that 'archive' allows", "ask for shorter ranges"],
    ),
    "a million days": (
        {"table": "archive", "start_date": "0001-01-01", "end_date": "9999-12-31"},
        ["end_date 9999-12-31", "future", "last day to ask for is 2024-07-01"],
    ),
    "5 MB": (GOOD.ljust(5 * 10**6), ["more than 1048576 bytes", "split it"]),
    "record of a wrong mode": (
        {"id": "a", "mode": "x", "accepted_at": "2024-01-01T00:00:00Z", "days": ["2024-01-01"], "table": "flights"},
        ["looks like a record but is not one", "mode", "write a request like {"],
    ),
    "record of no days": (
        {"id": "a", "mode": "daily", "accepted_at": "2024-01-01T00:00:00Z", "days": [], "table": "flights"},
        ["asks for no days", "write a request with a start_date"],
    ),
    "record nested too deeply": (
        b'{"id": "a", "mode": "daily", "accepted_at": "2024-01-01T00:00:00Z", "days": ["2024-01-01"],'
        b'"table": "flights", "x": ' + b"[" * 500 + b"]" * 500 + b"}",
        ["nested more than 50 levels deep", "write it like {"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_bad_content_is_rejected_with_a_sentence_and_the_good_file_beside_it_is_accepted(
    landing: Path, process: Process, content: bytes | dict[str, Any], words: list[str]
) -> None:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    (landing / "bad.json").write_bytes(raw)
    (landing / "good.json").write_bytes(GOOD)
    files = process()
    assert [record.file for record in files.accepted] == ["good.json"]
    sentence = files.rejected["bad.json"]
    assert sentence.startswith("bad.json: ")
    assert [word for word in words if word not in sentence] == []
    assert sentence.isprintable()
    assert len(sentence) < 500
    assert (landing / "rejected" / "bad.json").read_bytes() == raw
    assert (landing / "rejected" / "bad.error.txt").read_text(encoding="utf-8") == sentence + "\n"
    assert names_in(landing) == ["accepted", "rejected"]


LINK = "it is a symbolic link; drop the file itself"


def make_folder(path: Path) -> None:
    path.mkdir()
    (path / "inner.json").write_bytes(GOOD)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        # Its path may have 108 bytes at most.
        handle = os.open(path.parent, os.O_PATH)
        server.bind(f"/proc/self/fd/{handle}/{path.name}")
        os.close(handle)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(make_folder, "it is a folder; drop the request files themselves", id="folder"),
        pytest.param(os.mkfifo, "it is not a regular file; drop the request files themselves", id="FIFO"),
        pytest.param(make_socket, "it is not a regular file; drop a file", id="socket"),
        pytest.param(lambda path: path.symlink_to("/etc/passwd"), LINK, id="link out"),
        pytest.param(lambda path: path.symlink_to("good.json"), LINK, id="link inside"),
        pytest.param(lambda path: path.symlink_to("nowhere"), LINK, id="dangling link"),
        pytest.param(lambda path: path.symlink_to("bad.json"), LINK, id="endless link"),
    ],
)
@pytest.mark.parametrize("seconds", [0, 60], ids=["at once", "later"])
def test_what_is_not_a_file_is_rejected_unopened(
    landing: Path, process: Process, make: Callable[[Path], None], words: str, seconds: float
) -> None:
    make(landing / "bad.json")
    (landing / "good.json").write_bytes(GOOD)
    handles = names_in(Path("/proc/self/fd"))
    files = process(seconds=seconds)
    assert words in files.rejected["bad.json"]
    assert [record.file for record in files.accepted] == ["good.json"]
    assert names_in(landing / "rejected") == ["bad.error.txt", "bad.json"]
    assert names_in(Path("/proc/self/fd")) == handles


NAMES = {
    "spaces": "three little words.json",
    "quotes": 'it\'s "so" `called`.json',
    "newline": "two\nlines.json",
    "shell": "; rm -rf $HOME & *.json",
    "option": "-rf.json",
    "dots": "a..b....json",
    "accents": "Zürich été.json",
    "not UTF-8": os.fsdecode(b"caf\xe9.json"),
    "right to left": "\u202enosj.json",
    "255 bytes": LONGEST_NAME,
    "255 bytes of accents": "é" * 125 + ".json",
    "255 stray bytes": os.fsdecode(b"\xff" * 250 + b".json"),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_good_file_of_any_name_is_accepted(landing: Path, process: Process, queue: Queue, name: str) -> None:
    (landing / name).write_bytes(GOOD)
    [record] = process().accepted
    assert record.file is not None
    assert record.file.isprintable()
    assert queue.records("accepted") == [record]
    assert names_in(landing) == ["accepted"]


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_bad_file_of_any_name_is_rejected_and_not_lost(landing: Path, process: Process, name: str) -> None:
    (landing / name).write_bytes(b"bad " + os.fsencode(name))
    [sentence] = process().rejected.values()
    assert sentence.isprintable()
    moved, note = sorted((landing / "rejected").iterdir(), key=lambda path: path.name.endswith(".txt"))
    assert moved.read_bytes() == b"bad " + os.fsencode(name)
    assert os.fsencode(moved.name).startswith(os.fsencode(name)[:-5][:200])
    assert note.name == moved.name.removesuffix(".json") + ".error.txt"
    assert names_in(landing) == ["rejected"]


@pytest.mark.parametrize("name", ["a.json", LONGEST_NAME], ids=["short", "255 bytes"])
def test_a_name_rejected_twice_overwrites_nothing(landing: Path, process: Process, name: str) -> None:
    contents = {b"first", b"second", b"third"}
    for content in contents:
        (landing / name).write_bytes(content)
        process()
    rejected = landing / "rejected"
    assert {path.read_bytes() for path in rejected.glob("*.json")} == contents
    assert len(list(rejected.glob("*.error.txt"))) == 3


def test_a_note_somebody_left_in_rejected_is_not_overwritten(landing: Path, process: Process) -> None:
    (landing / "rejected").mkdir()
    (landing / "rejected" / "a.error.txt").write_text("mine")
    (landing / "a.json").write_bytes(b"bad")
    process()
    assert names_in(landing / "rejected") == ["a-2.error.txt", "a-2.json", "a.error.txt"]
    assert (landing / "rejected" / "a.error.txt").read_text() == "mine"


# files that are not there yet


def test_an_incomplete_file_is_left_until_it_rests(landing: Path, process: Process) -> None:
    (landing / "a.json").write_bytes(GOOD[:20])
    (landing / "b.json").write_bytes(GOOD)
    young = process(seconds=1)
    assert "a.json may still be being written" in young.waiting["a.json"]
    assert (len(young.accepted), young.rejected) == (1, {})
    assert dropped_names(landing) == ["a.json"]
    with (landing / "a.json").open("ab") as writer:
        writer.write(GOOD[20:])
    assert process(seconds=1).accepted[0].days == JANUARY


def test_an_incomplete_file_that_rests_is_rejected(landing: Path, process: Process) -> None:
    (landing / "a.json").write_bytes(GOOD[:20])
    assert "a.json" in process(seconds=10).rejected


def test_a_bad_file_that_rests_is_rejected_by_the_look_that_takes_it(
    landing: Path, queue: Queue, catalog: Catalog
) -> None:
    (landing / "a.json").write_bytes(b"bad")
    while (landing / "a.json").exists():
        process_files(queue, catalog=catalog, now=datetime.now(UTC), today=TODAY, stable_seconds=0.05)
    assert names_in(landing / "rejected") == ["a.error.txt", "a.json"]


@pytest.mark.parametrize("year", [1990, 2099])
def test_a_time_that_a_copy_brought_along_does_not_count(landing: Path, process: Process, year: int) -> None:
    (landing / "a.json").write_bytes(b"bad")
    brought = datetime(year, 1, 1, tzinfo=UTC).timestamp()
    os.utime(landing / "a.json", (brought, brought))
    assert "a.json" in process(seconds=1).waiting
    assert "a.json" in process(seconds=10).rejected


def test_a_file_that_replaced_the_one_taken_is_a_request_of_its_own(
    landing: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = json.dumps(REQUEST | {"table": "events"}).encode()
    sync = os.fsync

    def replace_meanwhile(handle: int) -> None:
        if not (landing / "replaced").exists():
            (landing / "replaced").touch()
            (landing / ".new").write_bytes(second)
            (landing / ".new").replace(landing / "a.json")
        sync(handle)

    (landing / "a.json").write_bytes(GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", replace_meanwhile)
        assert [record.table for record in process().accepted] == ["flights", "events"]
    assert names_in(landing) == ["accepted", "replaced"]


# files that cannot be read or moved

# Root may read everything, so somebody else has to; the folders above may be closed to them, so paths are relative.
PROCESS_AS_NOBODY = """
import json, os, sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from reloads.tables.catalog import Catalog
from reloads.requests.acceptance import process_files
from reloads.requests.queue import Queue

os.chdir(sys.argv[1])
catalog = Catalog.load(Path("tables"))
b"{}".decode("utf-8-sig")  # Python loads the codec from a file that may be closed to others
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
now = datetime.now(UTC) + timedelta(minutes=1)
files = process_files(Queue(Path("landing")), catalog=catalog, now=now, today=date(2024, 7, 1), stable_seconds=5)
print(json.dumps([[record.file for record in files.accepted], files.rejected, files.waiting]))
"""


@pytest.fixture
def process_as_nobody(tmp_path: Path, landing: Path) -> Callable[[], tuple[list[str], dict[str, str], dict[str, str]]]:
    tmp_path.chmod(0o755)
    landing.chmod(0o777)

    def process() -> tuple[list[str], dict[str, str], dict[str, str]]:
        command = [sys.executable, "-c", PROCESS_AS_NOBODY, str(tmp_path)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        accepted, rejected, waiting = json.loads(ended.stdout)
        return accepted, rejected, waiting

    return process


SALES = json.dumps(REQUEST | {"table": "sales"}).encode()


def test_a_file_without_read_permission_is_reported_and_accepted_once_it_can_be_read(
    landing: Path, process_as_nobody: Callable[[], tuple[list[str], dict[str, str], dict[str, str]]]
) -> None:
    (landing / "closed.json").write_bytes(SALES)
    (landing / "closed.json").chmod(0)
    (landing / "open.json").write_bytes(SALES)
    accepted, rejected, waiting = process_as_nobody()
    assert (accepted, rejected) == (["open.json"], {})
    assert "closed.json cannot be read or moved (Permission denied); grant access to it" in waiting["closed.json"]
    assert (landing / "closed.error.txt").read_text().strip() == waiting["closed.json"]

    assert process_as_nobody() == ([], {}, waiting)
    assert names_in(landing) == ["accepted", "closed.error.txt", "closed.json"]

    (landing / "closed.json").chmod(0o644)
    assert process_as_nobody() == (["closed.json"], {}, {})
    assert names_in(landing) == ["accepted"]


def test_what_cannot_be_moved_does_not_hold_up_the_others(
    landing: Path, process_as_nobody: Callable[[], tuple[list[str], dict[str, str], dict[str, str]]]
) -> None:
    (landing / "a.json").mkdir(mode=0o555)
    (landing / "b.json").write_bytes(SALES)
    for accepted in (["b.json"], []):
        names, rejected, waiting = process_as_nobody()
        assert (names, rejected) == (accepted, {})
        assert "a.json cannot be read or moved (Permission denied)" in waiting["a.json"]
    assert names_in(landing / "rejected") == []


def test_files_that_cannot_leave_wait_whatever_their_times_and_are_accepted_once_they_can(
    landing: Path, queue: Queue, process_as_nobody: Callable[[], tuple[list[str], dict[str, str], dict[str, str]]]
) -> None:
    for name in ("a.json", "b.json"):
        (landing / name).write_bytes(SALES)
    queue.folder("accepted").chmod(0o777)
    (landing / TAKEN).mkdir(mode=0o777)
    (landing / TAKEN).chmod(0o777)
    landing.chmod(0o555)
    try:
        for times in range(3):
            accepted, _, waiting = process_as_nobody()
            assert (accepted, sorted(waiting)) == ([], ["a.json", "b.json"])
            assert "a.json cannot be read or moved (Permission denied); grant access to it" in waiting["a.json"]
            os.utime(landing / "a.json", (times, times))
    finally:
        landing.chmod(0o777)
    accepted, rejected, waiting = process_as_nobody()
    assert (sorted(accepted), rejected, waiting) == (["a.json", "b.json"], {}, {})
    assert process_as_nobody() == ([], {}, {})
    assert names_in(landing) == ["accepted"]


# crashes


class Crash(BaseException):
    """The process is killed."""


def test_a_crash_before_the_file_is_removed_makes_no_second_request(
    landing: Path, process: Process, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_path: Path, **_more: bool) -> None:
        raise Crash

    (landing / "a.json").write_bytes(GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", crash)
        with pytest.raises(Crash):
            process()
    assert taken_names(landing) == ["a.json"]
    assert len(queue.records("accepted")) == 1
    assert process().accepted == []
    assert len(queue.records("accepted")) == 1
    assert taken_names(landing) == []


def test_a_crash_before_the_file_is_removed_makes_no_second_request_when_the_first_is_done_already(
    landing: Path, process: Process, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    (landing / "a.json").write_bytes(GOOD)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_args, **_more: None)
        [record] = process().accepted
    queue.settle(record.id, Outcome(published=JANUARY), run="run", now=datetime.now(UTC))
    assert taken_names(landing) == ["a.json"]
    assert process() == ProcessedFiles()
    assert taken_names(landing) == []
    assert names_in(landing) == ["accepted", "done"]
    assert names_in(landing / "accepted") == []


def test_a_crash_between_two_records_of_a_file_is_made_up_for(
    landing: Path, process: Process, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.replace

    def crash_at_the_second(path: Path, target: Path) -> Path:
        if "events" in target.name:
            raise Crash
        return rename(path, target)

    (landing / "a.json").write_text(json.dumps([REQUEST, REQUEST | {"table": "events"}]))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", crash_at_the_second)
        with pytest.raises(Crash):
            process()
    assert len(queue.records("accepted")) == 1
    assert [record.table for record in process().accepted] == ["events"]
    assert len(queue.records("accepted")) == 2


def test_a_crash_while_rejecting_loses_neither_file_nor_sentence(
    landing: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def crash(path: Path, target: Path) -> Path:
        if target.parent.name == crashing_into:
            raise Crash
        return rename(path, target)

    (landing / "a.json").write_bytes(b"bad")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crash)
        crashing_into = "rejected"
        with pytest.raises(Crash):
            process()
    process()
    [rejected] = (landing / "rejected").glob("*.json")
    assert rejected.read_bytes() == b"bad"
    assert rejected.with_name(rejected.stem + ".error.txt").exists()


# records put back


def test_a_done_record_put_back_asks_for_all_its_days_again(landing: Path, process: Process, queue: Queue) -> None:
    (landing / "a.json").write_bytes(GOOD)
    [first] = process().accepted
    queue.settle(first.id, Outcome(published=JANUARY), run="run", now=datetime.now(UTC))
    (landing / "done" / f"{first.id}.json").rename(landing / f"{first.id}.json")
    [repeated] = process().accepted
    assert (repeated.days, repeated.published) == (JANUARY, Days())
    assert repeated.id != first.id
    assert repeated.dropped is not None
    assert repeated.dropped["runs"] == ["run"]


def test_a_failed_record_put_back_asks_for_the_unpublished_days_only(
    landing: Path, process: Process, queue: Queue
) -> None:
    (landing / "a.json").write_bytes(GOOD)
    [first] = process().accepted
    bad = Days.parse(["2024-01-03", "2024-01-10..2024-01-12"])
    outcome = Outcome(published=JANUARY - bad, failed=(Failure(days=bad, error="bad row"),))
    queue.settle(first.id, outcome, run="run", now=datetime.now(UTC))
    (landing / "failed" / f"{first.id}.json").rename(landing / f"{first.id}.json")
    [repeated] = process().accepted
    assert repeated.days == bad


def test_a_record_copied_back_twice_asks_twice(landing: Path, process: Process, queue: Queue) -> None:
    (landing / "a.json").write_bytes(GOOD)
    [first] = process().accepted
    queue.settle(first.id, Outcome(published=JANUARY), run="run", now=datetime.now(UTC))
    for _ in range(2):
        (landing / "again.json").write_bytes((landing / "done" / f"{first.id}.json").read_bytes())
        assert len(process().accepted) == 1
    assert len(queue.records("accepted")) == 2


# anything at all

record_fields = st.fixed_dictionaries(
    {
        "id": st.just("a"),
        "mode": st.just("landing"),
        "accepted_at": st.just("2024-01-01T00:00:00Z"),
        "days": st.lists(st.sampled_from(["2024-01-01", "2024-01-03..2024-01-05", "x", 1]), max_size=2)
        | st.text(max_size=2),
        "table": st.sampled_from(["flights", "x"]),
    },
    optional={
        "published": st.sampled_from([["2024-01-01"], [[]], None]),
        "failed": st.sampled_from([[], [{"days": ["2024-01-03"], "error": "e"}], [{}], 5]),
        "reason": st.none() | st.text(max_size=5) | st.integers(),
        "x": st.sampled_from(["\ud800", float("inf"), {"a": [1]}]),
    },
)


@given(st.binary(max_size=40) | record_fields.map(lambda fields: json.dumps(fields).encode()))
def test_no_content_does_anything_but_be_accepted_or_refused_in_one_line(catalog: Catalog, raw: bytes) -> None:
    try:
        good = all(asked.request.days for asked in read_requests(raw, catalog=catalog, today=TODAY))
    except RequestError as error:
        good = str(error).isprintable()
    assert good


# the order, and tables that are broken for a while


def test_files_are_accepted_in_the_order_in_which_they_arrived(landing: Path, process: Process, queue: Queue) -> None:
    names = [f"{name}.json" for name in "bdacfe"]
    for name in names:
        (landing / name).write_bytes(GOOD)
    assert [record.file for record in process().accepted] == names
    assert [record.file for record in queue.records("accepted")] == names


def test_the_requests_of_one_file_are_accepted_in_their_order(landing: Path, process: Process, queue: Queue) -> None:
    for name in ("b.json", "a.json"):
        (landing / name).write_text(json.dumps([REQUEST | {"reason": f"{name} {number}"} for number in range(20)]))
    process()
    expected = [f"{name} {number}" for name in ("b.json", "a.json") for number in range(20)]
    assert [record.reason for record in queue.accepted("flights")] == expected


def test_a_request_for_a_table_that_is_broken_waits_with_a_note_and_is_accepted_once_it_is_mended(
    landing: Path, queue: Queue, tmp_path: Path
) -> None:
    def look() -> ProcessedFiles:
        catalog, now = Catalog.load(tmp_path / "tables"), datetime.now(UTC) + timedelta(minutes=1)
        return process_files(queue, catalog=catalog, now=now, today=TODAY, stable_seconds=5)

    query = tmp_path / "tables" / "sales" / "query.sql"
    good = query.read_text()
    query.write_text("selec")
    (landing / "a.json").write_text(json.dumps(REQUEST | {"table": ["visits", "sales"]}))
    (landing / "b.json").write_text(json.dumps(REQUEST | {"table": "visits"}))
    (landing / "c.json").write_text(json.dumps([REQUEST | {"table": "sales"}, REQUEST | {"table": "nowhere"}]))
    files = look()
    assert [record.file for record in files.accepted] == ["b.json"]
    assert list(files.rejected) == ["c.json"]
    assert files.waiting["a.json"].startswith("a.json waits: table 'sales' is broken (")
    assert (landing / "a.error.txt").read_text() == files.waiting["a.json"] + "\n"

    query.write_text(good)
    assert [(record.file, record.table) for record in look().accepted] == [("a.json", "visits"), ("a.json", "sales")]
    assert names_in(landing) == ["accepted", "rejected"]


def test_a_file_of_too_many_requests_is_rejected(landing: Path, process: Process) -> None:
    (landing / "a.json").write_text(json.dumps([REQUEST] * 5001))
    assert "more than 5000 reloads" in process().rejected["a.json"]


# files that change while they are looked at


@pytest.mark.parametrize(
    ("first", "second", "accepted", "rejected"),
    [
        pytest.param(b"bad", GOOD, ["a.json"], [], id="a good one over a bad one"),
        pytest.param(GOOD, b"bad", [], ["a.json"], id="a bad one over a good one"),
        pytest.param(b"first", b"second", [], ["a.json"], id="a bad one over another"),
    ],
)
def test_a_file_renamed_over_one_that_was_judged_is_judged_for_itself(
    landing: Path,
    process: Process,
    monkeypatch: pytest.MonkeyPatch,
    first: bytes,
    second: bytes,
    accepted: list[str],
    rejected: list[str],
) -> None:
    rename = Path.rename

    def replace_before(path: Path, target: Path) -> Path:
        if target.parent.name == TAKEN and not (landing / ".replaced").exists():
            (landing / ".replaced").write_bytes(second)
            (landing / ".new").write_bytes(second)
            rename(landing / ".new", path)
        return rename(path, target)

    (landing / "a.json").write_bytes(first)
    monkeypatch.setattr(Path, "rename", replace_before)
    files = process()
    files_later = process()  # what was changed a moment ago may still be being written
    assert [record.file for record in files.accepted + files_later.accepted] == accepted
    assert list(files.rejected | files_later.rejected) == rejected
    if rejected:
        assert (landing / "rejected" / "a.json").read_bytes() == second
    assert taken_names(landing) == dropped_names(landing) == []


def test_a_file_renamed_over_one_that_is_being_rejected_keeps_its_own_sentence(
    landing: Path, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def drop_before(path: Path, target: Path) -> Path:
        if target.parent.name == "rejected" and not (landing / ".dropped").exists():
            (landing / ".dropped").touch()
            (landing / "a.json").write_bytes(b"[]")
        return rename(path, target)

    (landing / "a.json").write_bytes(b"bad")
    monkeypatch.setattr(Path, "rename", drop_before)
    process()
    monkeypatch.undo()
    sentences = {path.read_text() for path in (landing / "rejected").glob("*.error.txt")}
    assert {sentence.partition(" (")[0].partition(",")[0] for sentence in sentences} == {
        "a.json: the file is not JSON",
        "a.json: the list is empty",
    }
    for path in (landing / "rejected").glob("*.json"):
        is_empty = path.read_bytes() == b"[]"
        assert ("list is empty" in path.with_name(f"{path.stem}.error.txt").read_text()) == is_empty


def test_an_error_that_nobody_thought_of_rejects_its_file_in_one_sentence_and_no_other(
    landing: Path, process: Process, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails_for_one(raw: bytes, **rest: Any) -> Any:
        if raw == b"fatal":
            raise RecursionError("maximum recursion depth\nexceeded")
        return read_requests(raw, **rest)

    (landing / "a.json").write_bytes(b"fatal")
    (landing / "b.json").write_bytes(GOOD)
    monkeypatch.setattr(judgement, "read_requests", fails_for_one)
    files = process()
    assert [record.file for record in files.accepted] == ["b.json"]
    assert "cannot be judged (RecursionError: maximum recursion depth exceeded)" in files.rejected["a.json"]
    assert all(record.exc_info is None for record in caplog.records)


# bounds: what one file costs


HOSTILE = {
    "brackets": b"[" * 2**20,
    "quotes": b'"' * 2**20,
    "escapes": b'"' + b'\\"' * (2**19 - 1),
    "numbers": b"[" + b"1," * (2**19 - 2) + b"1]",
    "objects": b"[" + b"{}," * 349_000 + b"{}]",
    "unknown fields": ("{" + ",".join(f'"a{n}":1' for n in range(95_000)) + "}").encode(),
    "names": json.dumps(REQUEST | {"table": [f"t{n}" for n in range(90_000)]}).encode(),
    "bad names": json.dumps(REQUEST | {"table": [1] * 300_000}).encode(),
    "days": json.dumps(REQUEST | {"exclude_dates": ["2024-01-01"] * 70_000}).encode(),
    "keys": json.dumps(REQUEST | {"keys": {f"k{n}": ["a"] for n in range(50_000)}}).encode(),
    "parameters": json.dumps(REQUEST | {"parameters": {f"p{n}": 1 for n in range(60_000)}}).encode(),
    "requests": json.dumps([REQUEST] * 12_000).encode(),
    "records of ten thousand years": json.dumps(
        [{"id": "a", "mode": "daily", "accepted_at": "2024-01-01T00:00:00Z", "table": "archive"}
         | {"days": ["0001-01-01", "9999-12-31"]}] * 7000
    ).encode(),
    "a record of bad parts": json.dumps(
        {"id": "a", "mode": "daily", "accepted_at": "2024-01-01T00:00:00Z", "table": "flights"}
        | {"days": ["2024-01-01"], "failed": [1] * 300_000}
    ).encode(),
}  # fmt: skip


@pytest.mark.parametrize("raw", HOSTILE.values(), ids=HOSTILE)
def test_no_file_of_a_mebibyte_needs_more_than_a_hundred_megabytes(catalog: Catalog, raw: bytes) -> None:
    assert len(raw) <= 2**20
    tracemalloc.start()
    try:
        with suppress(RequestError):
            read_requests(raw, catalog=catalog, today=TODAY)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 100 * 10**6


def test_a_span_of_ten_thousand_years_is_never_counted_out(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = 0
    count = DateRange.__iter__

    def count_days(date_range: DateRange) -> Iterator[date]:
        nonlocal counted
        for day in count(date_range):
            counted += 1
            yield day

    monkeypatch.setattr(DateRange, "__iter__", count_days)
    with pytest.raises(RequestError, match="in the future"):
        read_requests(HOSTILE["records of ten thousand years"], catalog=catalog, today=TODAY)
    assert counted == 0
