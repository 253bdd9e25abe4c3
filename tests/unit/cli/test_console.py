"""What the command line prints: one line is one line, and no character steers the terminal, whoever wrote it."""

from __future__ import annotations

import ast
import logging
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reloads.batch import Batch
from reloads.cli import console
from reloads.cli.console import LogLines, complain, end_with, say, show
from reloads.cli.outcome import answer_outcome
from reloads.days import Days
from reloads.outcome import CheckResult, Failure
from reloads.progress import BatchProgress
from reloads.requests.batch_notes import note_batch
from reloads.requests.queue import Queue
from reloads.requests.record import Record
from tests.support.command_line import call

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
DAYS = Days.parse(["2024-01-01"])
HOSTILE = "two\nlines\r\x1b[2J\x1b]0;title\x07\u202e\u200b\x85\x9b\u2028\ud800 done      1/1 days [bold]:cat: é"
SHOWN = r"two\nlines\r\x1b[2J\x1b]0;title\x07\u202e\u200b\x85\x9b\u2028\ud800 done      1/1 days [bold]:cat: é"

ANY_TEXT = st.text(max_size=30) | st.text("\n\r\x1b\x07\x85\x9b\u202e\u2028\u200b a", max_size=30)


@contextmanager
def printed() -> Iterator[list[str]]:
    """The lines that are printed, of both streams, as bytes would have them: a lone surrogate is an error."""
    out, lines = StringIO(newline=""), list[str]()
    with redirect_stdout(out), redirect_stderr(out):
        yield lines
    text = out.getvalue().encode().decode()
    assert text == "" or text.endswith("\n")
    lines += text.split("\n")[:-1]


def test_the_same_text_is_shown_with_what_is_not_printable_escaped() -> None:
    with printed() as lines:
        say(HOSTILE)
        complain(HOSTILE)
    assert lines == [SHOWN, SHOWN]


@given(ANY_TEXT)
@example(HOSTILE)
def test_whatever_is_said_is_one_printable_line(text: str) -> None:
    with printed() as lines:
        say(text)
        complain(text)
        with pytest.raises(SystemExit):
            end_with(text, 1)
        LogLines().emit(logging.LogRecord("reloads.x", logging.ERROR, "x", 1, "%s", (text,), None))
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


@given(ANY_TEXT)
@example(HOSTILE)
def test_an_outcome_is_printed_on_its_lines(text: str) -> None:
    record = Record(
        id="a",
        mode="landing",
        table=text,
        days=DAYS,
        accepted_at=NOW,
        failed=(Failure(days=DAYS, error=text),),
        checks=(CheckResult(check=text, severity="warn", days=DAYS, rows=1, found=text),),
    )
    with printed() as lines:
        show(answer_outcome([record]))
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


@contextmanager
def home() -> Iterator[Queue]:
    with TemporaryDirectory() as folder, patch.dict(os.environ, {"RELOADS_HOME": folder}):
        yield Queue(Path(folder, "landing"))


def encodable(text: str) -> str:
    """What a file can hold of the text."""
    return text.encode("utf-8", "backslashreplace").decode()


@given(ANY_TEXT, ANY_TEXT)
@example(HOSTILE, HOSTILE)
def test_status_has_one_line_for_a_request_whatever_its_fields_hold(text: str, other: str) -> None:
    text, other = encodable(text), encodable(other)
    record = Record(id="a", mode="landing", table=other, days=DAYS, accepted_at=NOW, reason=text, requested_by=text)
    with home() as queue:
        queue.add(record.model_copy(update={"file": text}))
        queue.file_away(record.model_copy(update={"id": "b", "published": DAYS, "finished_at": NOW}))
        lines, shown = call("status").lines, call("status", "a").lines
        value = call("status", "a", "--json")
    assert [line.split()[0] for line in lines if "\t" in line] == ["done", "queued"]
    assert all(line.replace("\t", "").isprintable() for line in [*lines, *shown, *value.lines])
    assert value.json["reason"] == text


def test_status_shows_the_progress_of_a_request_that_a_batch_works_at() -> None:
    record = Record(id="a", mode="landing", table="sales", days=DAYS, accepted_at=NOW)
    with home() as queue:
        queue.add(record)
        with note_batch(queue.landing, "sales", Batch(DAYS, requests={"a": DAYS}), run="run/1") as note:
            note.write(BatchProgress("writing", DAYS, dict.fromkeys(DAYS, 7)))
            note.flush()
            listed, shown = call("status").lines, call("status", "a", "--json").json
    count = len(DAYS)
    [line] = [line for line in listed if "\t" in line]
    assert line.startswith("running\ta\t")
    assert line.endswith(f"\t{count} of {count} days staged, {7 * count} rows; writing, by run/1")
    progress = shown["progress"]
    assert (progress["days"], progress["staged"], progress["rows"], progress["run"]) == (
        count,
        count,
        7 * count,
        "run/1",
    )


@given(st.binary(min_size=1, max_size=40).filter(lambda name: not set(b"/\0") & set(name)), ANY_TEXT)
@example(b"\xff\n\x1b[2J", HOSTILE)
def test_status_has_one_line_for_a_rejected_file_whatever_its_name_and_note(name: bytes, text: str) -> None:
    with home() as queue:
        note = queue.folder("rejected") / os.fsdecode(name + b".error.txt")
        note.write_bytes(text.encode("utf-8", "surrogatepass"))
        lines = call("status").lines
    assert [line.split("\t")[0] for line in lines] == ["rejected"]
    assert all(line.replace("\t", "").isprintable() for line in lines)


def test_nothing_but_the_console_prints() -> None:
    folder = Path(console.__file__).parent
    for path in folder.glob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        attributes = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
        if path.name != "console.py":
            assert not names & {"print"}, path.name
            # The screen draws into a text.
            drawn = {"print"} if path.name == "screen.py" else set[str]()
            assert not attributes & ({"stdout", "stderr", "echo", "print"} - drawn), path.name


STATEMENT = r"select e'a\x1b[2J\nb' as a, chr(8238) as b"


@pytest.mark.parametrize("options", [[], ["--csv"]], ids=["table", "CSV"])
def test_on_a_terminal_an_answer_holds_nothing_that_steers_it(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "tables").mkdir()
    main, terminal = pty.openpty()
    command = [sys.executable, "-m", "reloads.cli.main", "sql", STATEMENT, *options]
    environment = os.environ | {"RELOADS_HOME": str(tmp_path), "NO_COLOR": "1"}
    subprocess.run(command, env=environment, stdout=terminal, check=True, timeout=60)
    os.close(terminal)
    text = b""
    with suppress(OSError):  # Linux says so where everybody has closed the terminal
        while chunk := os.read(main, 4096):
            text += chunk
    os.close(main)
    lines = text.decode().split("\r\n")
    assert lines.pop() == ""
    assert all(line.isprintable() for line in lines)
    assert len(lines) == (2 if options else 4)
    assert "[2J" in lines[1]


def test_in_a_pipe_csv_is_what_the_values_hold(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "reloads.cli.main", "sql", STATEMENT, "--csv"],
        env=os.environ | {"RELOADS_HOME": str(tmp_path)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ('a,b\n"a\x1b[2J\nb",\u202e\n'.encode(), b"")


def test_what_the_core_logs_is_told_and_what_libraries_log_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    handler = console.LogLines()
    for name in ("reloads.requests.queue", "watchdog.observers.inotify"):
        handler.emit(logging.LogRecord(name, logging.ERROR, __file__, 1, "from %s", (name,), None))
    assert capsys.readouterr().err == "from reloads.requests.queue\n"
