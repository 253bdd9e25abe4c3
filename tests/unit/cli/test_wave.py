"""``--wait`` as a person meets it: the file, the id, everything that follows, and an end in time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import Thread

import pytest

from reloads.cli import wait
from reloads.cli.exit_codes import Exit
from reloads.planning.runnable_requests import leave_out_waiting
from reloads.requests.control import cancel_request
from reloads.requests.intake import collect_requests
from reloads.requests.paused_tables import note_paused
from reloads.tables.catalog import Catalog
from tests.support.chain import Chain
from tests.support.command_line import call

Process = subprocess.Popen[str]


@contextmanager
def started(chain: Chain, *arguments: str) -> Iterator[Process]:
    """A command that somebody started there."""
    environment = {**os.environ, "RELOADS_HOME": str(chain.settings.home)}
    command = [sys.executable, "-m", "reloads.cli.main", *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, text=True, stdout=pipe, stderr=pipe) as process:
        yield process


def accept(chain: Chain) -> None:
    """Take what lies in the drop folder."""
    settings = chain.settings.model_copy(update={"stable_seconds": 0.001})
    collect_requests(
        settings, Catalog.load(settings.tables), clock=lambda: datetime.now(UTC), leave_out=leave_out_waiting
    )


def ended(process: Process) -> tuple[list[str], str, int]:
    out, err = process.communicate(timeout=60)
    return out.splitlines(), err, process.returncode


def first_line(process: Process) -> str:
    assert process.stdout
    return process.stdout.readline()


def test_the_file_is_said_first_then_the_id_and_then_all_that_follows(chain: Chain) -> None:
    with started(chain, "request", "a", "2025-01-30", "2025-01-31", "--wait") as process:
        assert first_line(process).startswith("dropped a-2025-01-30-")
        accept(chain)
        assert "accepted a-2025-01-30-" in first_line(process)
        chain.work_off("a", "b", "c", "d")
        lines, err, code = ended(process)
    assert (code, err) == (0, "")
    accepted = [line.split(": ")[1].split(",")[0] for line in lines if line.startswith("accepted")]
    assert set(accepted) == {"b", "c", "d"}
    assert {line.partition(":")[0] for line in lines if ": 2 days published" in line} == set("abcd")


def test_as_json_the_wave_is_one_document_and_the_id_is_told_meanwhile(chain: Chain) -> None:
    with started(chain, "request", "a", "2025-01-31", "--wait", "--json") as process:
        assert process.stderr
        assert process.stderr.readline().startswith("dropped a-2025-01-31-")
        accept(chain)
        chain.work_off("a", "b", "c", "d")
        lines, _, code = ended(process)
    value = json.loads("\n".join(lines))
    assert code == 0
    assert value["file"].startswith("a-2025-01-31-")
    assert {request["table"] for request in value["requests"]} == {"a", "b", "c", "d"}
    assert {request["state"] for request in value["requests"]} == {"done"}


def test_after_the_timeout_it_says_what_is_left_and_the_request_goes_on(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    told = call("request", "a", "2025-01-31", "--wait", "--timeout", "0s")
    assert told.code == Exit.TIMED_OUT
    [file] = chain.settings.landing.glob("*.json")
    assert f"after 0 seconds nobody took {file.name} from the drop folder; it goes on" in told.err

    chain.ask("b", "2025-01-31", file="mine.json")
    cancel_request(chain.queue, "mine.json", now=datetime.now(UTC))
    with started(chain, "retry", "mine.json", "--wait", "--timeout", "1s", "--json") as process:
        assert process.stderr
        assert "dropped retry-" in process.stderr.readline()
        accept(chain)
        lines, err, code = ended(process)
    value = json.loads("\n".join(lines))
    assert (code, value["timed_out"]) == (Exit.TIMED_OUT, True)
    assert [request["table"] for request in value["requests"]] == ["b"]
    assert "1 day of 1 request are left" in err


def test_a_retry_and_an_undo_are_followed_too(chain: Chain) -> None:
    chain.ask("a", "2025-01-31")
    chain.work_off("a", "b", "c", "d")
    chain.deliver("2025-01-31", 99)
    chain.ask("a", "2025-01-31", file="mine.json")
    chain.work_off("a", "b", "c", "d")
    with started(chain, "undo", "mine.json", "--wait") as process:
        assert first_line(process).startswith("a: 1 partition put back (2025-01-31), by undo-a-")
        while not first_line(process).startswith("accepted cascade-b"):
            pass
        chain.work_off("b", "c", "d")
        lines, _, code = ended(process)
    assert code == 0
    assert {line.partition(":")[0] for line in lines if "published" in line} >= {"b", "c", "d"}


def test_a_request_that_is_given_up_meanwhile_ends_the_wait_as_a_failure(chain: Chain) -> None:
    with started(chain, "request", "a", "2025-01-30", "2025-01-31", "--wait") as process:
        dropped = first_line(process).split()[1].rstrip(":")
        accept(chain)
        cancel_request(chain.queue, dropped, now=datetime.now(UTC))
        lines, _, code = ended(process)
    assert code == Exit.FAILED
    assert "a: 0 days published, 2 given up" in lines[-1]


def test_with_nobody_at_work_it_says_so_once(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    told = SimpleQueue[str]()
    monkeypatch.setattr(wait, "LOOK_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(wait, "EXPLAIN_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(wait, "complain", told.put)
    (chain.settings.landing / "mine.json").write_text('{"table": "a", "start_date": "2025-01-31"}')
    thread = Thread(target=wait.follow_wave, args=(wait.Wave(chain.settings, ["mine.json"]),))
    thread.start()
    try:
        assert told.get(timeout=60) == "mine.json is still in the drop folder"
        assert told.get(timeout=60).startswith("Airflow was never heard of here, so nobody may be at work; start it")
        note_paused(chain.settings.landing, (), now=datetime.now(UTC))
    finally:
        accept(chain)
        chain.work_off("a", "b", "c", "d")
        thread.join(timeout=60)
    assert not thread.is_alive()
    sentences = [told.get() for _ in range(told.qsize())]
    assert not [sentence for sentence in sentences if "drop folder" in sentence or "Airflow" in sentence]
