"""The notes beside refused files: each has its line in the status, in the order of time, whatever lies there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reloads.days import Days
from reloads.files import printable_name
from reloads.requests.acceptance import process_files
from reloads.requests.endings import Ending, note_endings
from reloads.requests.notes import SENTENCE_CHARACTERS, find_note, list_notes, list_waiting
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from reloads.settings import Settings
from reloads.tables.catalog import Catalog
from tests.support.command_line import call

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
DAYS = Days.parse(["2024-01-01"])


@pytest.fixture
def landing(sales_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RELOADS_HOME", str(sales_settings.home))
    return sales_settings.landing


def write_note(folder: Path, name: str, text: str, *, minutes: float = 0) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.error.txt"
    path.write_text(text)
    seconds = (NOW + timedelta(minutes=minutes)).timestamp()
    os.utime(path, (seconds, seconds))
    return path


def reject(landing: Path, name: str, text: str, *, minutes: float) -> None:
    note_endings(landing, [Ending(NOW + timedelta(minutes=minutes), is_rejected=True, name=f"{name}.error.txt")])
    write_note(landing / "rejected", name, text, minutes=minutes)


def write_done(landing: Path, name: str, *, minutes: float) -> None:
    at = NOW + timedelta(minutes=minutes)
    record = Record(id=name, mode="landing", table="sales", days=DAYS, published=DAYS, accepted_at=at, finished_at=at)
    Queue(landing).file_away(record)


def status(*, everything: bool = False) -> list[list[str]]:
    """The cells of each line of ``reloads status``: its state, name, time and sentence among them."""
    lines = call("status", *(["--all"] if everything else []), zone=UTC).lines
    return [line.split("\t") for line in lines if "\t" in line]


def test_rejected_files_are_among_the_ended_requests_in_the_order_of_time(landing: Path) -> None:
    write_done(landing, "first", minutes=0)
    reject(landing, "second", "second.json: no\n", minutes=1)
    write_done(landing, "third", minutes=2)
    reject(landing, "event-sales", "event on requested/sales: no\n", minutes=3)
    lines = status()
    assert [cells[0] for cells in lines] == ["done", "rejected", "done", "rejected"]
    assert [cells[-3::2] for cells in lines[1::2]] == [
        ["2026-03-01 12:31:00 UTC", "second.json: no"],
        ["2026-03-01 12:33:00 UTC", "event on requested/sales: no"],
    ]


def test_the_last_ten_are_shown_of_both_kinds_together_and_all_with_all(landing: Path) -> None:
    for number in range(8):
        write_done(landing, f"r{number}", minutes=2 * number)
        reject(landing, f"n{number}", f"n{number}.json: no", minutes=2 * number + 1)
    assert [cells[0] for cells in status()] == ["done", "rejected"] * 5
    assert "n3.json: no" in status()[1]
    assert [cells[0] for cells in status(everything=True)] == ["done", "rejected"] * 8


def test_a_file_that_waits_is_listed_with_the_sentence_beside_it(landing: Path) -> None:
    long = "é" * 124
    for name in ("waits", long):
        (landing / f"{name}.json").touch()
    write_note(landing, "waits", "waits.json cannot be read; grant access to it")
    write_note(landing, long[:100], "the long one cannot be read; grant access to it", minutes=1)
    write_note(landing, "gone", "gone.json cannot be read; grant access to it")
    assert [(cells[0], *cells[-3::2]) for cells in status()] == [
        ("waiting", "2026-03-01 12:30:00 UTC", "waits.json cannot be read; grant access to it"),
        ("waiting", "2026-03-01 12:31:00 UTC", "the long one cannot be read; grant access to it"),
    ]
    assert call("status", "waits.json").lines == ["waits.json cannot be read; grant access to it"]


def test_whatever_lies_where_a_note_should_has_its_line(landing: Path) -> None:
    folder = landing / "rejected"
    folder.mkdir()
    os.mkfifo(folder / "a pipe.error.txt")
    (folder / "a folder.error.txt").mkdir()
    (folder / "a link.error.txt").symlink_to("/etc/passwd")
    (folder / "no UTF-8.error.txt").write_bytes(b"caf\xe9\xff")
    (folder / "two lines.error.txt").write_text("one\ntwo\n")
    (folder / "empty.error.txt").touch()
    with (folder / "huge.error.txt").open("wb") as file:
        file.truncate(2**33)
    ages = {path.name: number for number, path in enumerate(sorted(folder.iterdir()))}
    for name, number in ages.items():
        os.utime(folder / name, (number, number), follow_symlinks=False)
    os.utime(folder / "two lines.error.txt", (-(2**31), 2**40))
    sentences = [cells[-1] for cells in status()]
    assert [sentence[:80] for sentence in sentences] == [
        "a folder: its note cannot be read (it is a folder)",
        "a link: its note cannot be read (it is a symbolic link)",
        "a pipe: its note cannot be read (it is not a regular file)",
        "empty: its note is empty",
        "\\x00" * 20,
        r"caf\xe9\xff",
        "one two",
    ]
    assert max(map(len, sentences)) <= 4 * SENTENCE_CHARACTERS


# Root may read everything, so somebody else has to; the folders above may be closed to them, so the path is relative.
READ_AS_NOBODY = """
import os, sys
from pathlib import Path
from reloads.requests.notes import list_notes

os.chdir(sys.argv[1])
if os.getuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
[note] = list_notes(Path("."))
print(note.sentence())
"""


def test_a_note_that_nobody_may_read_says_so(landing: Path) -> None:
    write_note(landing / "rejected", "a", "no").chmod(0)
    (landing / "rejected").chmod(0o755)
    command = [sys.executable, "-c", READ_AS_NOBODY, str(landing / "rejected")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr) == ("a: its note cannot be read (Permission denied)\n", "")


def test_a_note_that_is_gone_says_so(landing: Path) -> None:
    path = write_note(landing / "rejected", "a", "no")
    [note] = list_notes(landing / "rejected")
    path.unlink()
    assert note.sentence() == "a: its note cannot be read (No such file or directory)"


def test_folders_that_are_missing_have_no_notes(tmp_path: Path) -> None:
    assert list_notes(tmp_path / "rejected") == []
    assert list_waiting(tmp_path / "landing") == {}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("plain.json", id="plain"),
        pytest.param("two\nlines.json", id="newline"),
        pytest.param(os.fsdecode(b"caf\xe9.json"), id="Latin-1"),
        pytest.param("\x1b[2J\u202e.json", id="terminal"),
        pytest.param("a.b.c.json", id="dots"),
        pytest.param("[a]*?.json", id="pattern"),
        pytest.param("é" * 125 + ".json", id="long"),
        pytest.param("a.error.txt.json", id="like a note"),
    ],
)
def test_status_of_a_rejected_file_is_its_sentence(landing: Path, sales_tables: Path, name: str) -> None:
    catalog = Catalog.load(sales_tables)
    for table in ("nothing", "nowhere"):  # the second gets another name in rejected/
        (landing / name).write_text(json.dumps({"table": table, "start_date": "2024-01-01"}))
        later = datetime.now(UTC) + timedelta(hours=1)
        process_files(Queue(landing), catalog=catalog, now=later, today=later.date(), stable_seconds=0)
    os.utime(max((landing / "rejected").glob("*.error.txt"), key=lambda path: path.stat().st_mtime_ns), (2**31, 2**31))
    for asked in (name, printable_name(name)):
        told = call("status", "--", asked)
        assert (told.code, told.out) == (1, "")
        assert told.err.startswith(f"reloads: {printable_name(name)}: table 'nowhere' is unknown")


def test_status_of_a_file_is_what_became_of_it_last(landing: Path) -> None:
    for name, minutes in {"mine-sales-00000000000a": 0, "mine-sales-00000000000b": 4}.items():
        at = NOW + timedelta(minutes=minutes)
        record = Record(id=name, mode="landing", table="sales", days=DAYS, accepted_at=at, file="mine.json")
        Queue(landing).add(record)
        write_note(landing / "rejected", "mine", "mine.json: no", minutes=2)
        if minutes == 0:
            assert call("status", "mine.json").err == "reloads: mine.json: no\n"
    assert call("status", "mine.json", "--json").json["id"] == "mine-sales-00000000000b"
    assert call("status", "mine-sales-00000000000a", "--json").json["id"] == "mine-sales-00000000000a"


def test_status_of_a_file_in_the_drop_folder_says_where_it_is(landing: Path) -> None:
    name = "two\nlines.json"
    (landing / name).touch()
    for asked in (name, printable_name(name)):
        assert call("status", asked).out.startswith(r"two\nlines.json is still in the drop folder; ")


@pytest.mark.parametrize("name", ["", ".", "..", "/", "accepted", "../tables", "x" * 5000, "a\x1b[2J"])
def test_status_of_anything_else_is_a_sentence(landing: Path, name: str) -> None:
    for state in ("accepted", "rejected"):
        (landing / state).mkdir()
    told = call("status", name)
    assert told.err.endswith(" is not a request; reloads status lists them\n")
    assert told.code == 1


def test_a_note_of_a_name_that_begins_alike_is_another(landing: Path) -> None:
    write_note(landing / "rejected", "a-2", "a-2.json: no")
    rejected = landing / "rejected"
    assert find_note(rejected, "a.json") is None
    assert find_note(rejected, "a-2.json") == find_note(rejected, "a-2") == list_notes(rejected)[0]
