"""What must come of hostile files in the drop folder, whatever they are.

    python -m tests.support.door_fuzz --files 2000 [--seed 1]

Each batch ends with a good request. A process of its own looks at the folder, and files change while it does. From
outside it must then be true that every file ended in exactly one place (accepted, rejected beside one printable
sentence, or left alone as the documents say), that the good one was accepted, and that nothing was logged but printable
sentences. Prints the seed, the number of files, and the most memory that the process had which looked; a batch that
breaks a rule is shrunk and printed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import hypothesis
from hypothesis import given, seed
from hypothesis import strategies as st

from tests.support.door_files import BATCH, GOOD, Drop, drops, strays

LOOKS = 12
MOST_MEGABYTES = 300
LONGEST_SENTENCE = 3000
NOTE = ".error.txt"
QUERY = """
select cast(midnight as date) as day
from generate_series(date '2020-01-01', date '2030-01-01', interval 1 day) as d(midnight)
"""


# who looks


class Looker:
    """A process that looks at a drop folder, and says what it logged and how much memory it had."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.megabytes = 0

    def look(self, *, later_seconds: float) -> list[str]:
        """Look as of that much later; returns what was logged."""
        commands, answers = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        commands.write(f"{later_seconds}\n")
        commands.flush()
        answer = answers.readline()
        assert answer, "the process that looks has ended"
        messages, self.megabytes = json.loads(answer)
        return list(messages)


@contextmanager
def looking_at(home: Path) -> Iterator[Looker]:
    """A looker at the drop folder of that home."""
    command = [sys.executable, "-m", "tests.support.door_fuzz", "--look-at", str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Looker(process)
        cast("IO[str]", process.stdin).close()
        process.wait()


class _Messages(logging.Handler):
    """Keeps what is logged, and that a traceback came with it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage() + ("\nTraceback" if record.exc_info else ""))


def look_at(home: Path) -> None:
    """Look whenever a line says so, until there is none."""
    from reloads.planning.runnable_requests import leave_out_waiting  # noqa: PLC0415 - as below
    from reloads.requests.intake import collect_requests  # noqa: PLC0415 - the process that fuzzes shares no code
    from reloads.settings import Settings  # noqa: PLC0415
    from reloads.tables.catalog import Catalog  # noqa: PLC0415

    settings = Settings.from_environment({"RELOADS_HOME": str(home), "RELOADS_STABLE_SECONDS": "3"})
    handler = _Messages()
    logging.getLogger().addHandler(handler)
    for line in sys.stdin:
        handler.texts = []
        clock = partial(_time_later, timedelta(seconds=float(line)))
        collect_requests(settings, Catalog.load(settings.tables), clock=clock, leave_out=leave_out_waiting)
        sys.stdout.write(json.dumps([handler.texts, _most_megabytes()]) + "\n")
        sys.stdout.flush()


def _most_megabytes() -> int:
    """The most memory this process has had; ``getrusage`` would count the process that started it, too."""
    kilobytes = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    return int(kilobytes[0]) // 1024


def _time_later(later: timedelta) -> datetime:
    return datetime.now(UTC) + later


# what is dropped, and what must come of it


@dataclass
class Batch:
    """The files of one batch in the drop folder of a home."""

    home: Path
    drops: list[Drop]
    strays: dict[str, bytes]

    @property
    def landing(self) -> Path:
        return self.home / "landing"

    def name(self, number: int) -> str:
        """A name that nobody else has: it begins with the number."""
        stem, dot, ending = self.drops[number].name.rpartition(b".")
        return os.fsdecode(b"%d~" % number + stem[:230] + dot + ending)

    def drop_all(self) -> None:
        for name, content in self.strays.items():
            (self.landing / name).write_bytes(content)
        for number in range(len(self.drops)):
            self._drop(number)

    def _drop(self, number: int) -> None:
        drop, path, beside = self.drops[number], self.landing / self.name(number), self.landing / ".beside"
        if drop.kind == "folder":
            path.mkdir()
        elif drop.kind == "pipe":
            os.mkfifo(path)
        elif drop.kind == "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(beside))
            beside.rename(path)
        elif drop.kind in ("link", "dead link", "loop"):
            path.symlink_to({"link": "/etc/passwd", "dead link": "nowhere", "loop": path.name}[drop.kind])
        else:
            beside.write_bytes(drop.content)
            if drop.kind == "hard link":
                (self.landing / f".twin-{number}").hardlink_to(beside)
            beside.rename(path)

    def change_all(self) -> None:
        """What hostile writers do meanwhile."""
        for number, drop in enumerate(self.drops):
            if drop.kind in ("file", "hard link") and drop.name.endswith(b".json"):
                with suppress(FileNotFoundError):
                    self._change(self.landing / self.name(number), drop)

    def _change(self, path: Path, drop: Drop) -> None:
        if drop.change == "replace":
            (self.landing / ".other").write_bytes(drop.other_content)
            (self.landing / ".other").rename(path)
        elif drop.change in ("append", "truncate"):
            handle = os.open(path, os.O_WRONLY | (os.O_APPEND if drop.change == "append" else os.O_TRUNC))
            os.write(handle, drop.other_content)
            os.close(handle)
        elif drop.change == "remove":
            path.unlink()
        elif drop.change == "touch":
            os.utime(path, (0, 0))

    def check(self) -> None:
        """Each file is in exactly one place, with one printable sentence if it was refused."""
        records: dict[int, list[dict[str, Any]]] = {}
        for path in (self.landing / "accepted").glob("*.json"):
            record = json.loads(path.read_bytes())
            records.setdefault(_number_of(record["file"]), []).append(record)
        entries: dict[int, list[Path]] = {}
        for path in (self.landing / "rejected").glob("*"):
            entries.setdefault(_number_of(path.name), []).append(path)
        names = {path.name for path in self.landing.iterdir() if not path.name.startswith(".")}
        left = {_number_of(name) for name in names - self.strays.keys()}
        assert list((self.landing / ".taken").glob("*")) == []
        kept = Counter(path.read_bytes() for path in self.landing.iterdir() if path.is_file())
        assert Counter(self.strays.values()) <= kept, (self.strays, kept)
        for number in range(len(self.drops)):
            self._check_one(number, records.get(number, []), entries.get(number, []), is_left=number in left)
        last = len(self.drops) - 1
        assert [record["file"] for record in records.get(last, [])] == [f"{last}~good.json"]

    def _check_one(self, number: int, records: list[dict[str, Any]], entries: list[Path], *, is_left: bool) -> None:
        drop = self.drops[number]
        moved = [path for path in entries if not path.name.endswith(NOTE)]
        assert len(entries) == 2 * len(moved), (number, drop, entries)
        for path in moved:
            self._check_sentence(number, path)
        if not self.name(number).endswith(".json"):
            assert (is_left, records, entries) == (True, [], []), (number, drop)
            return
        places = bool(records) + len(moved) + is_left
        is_file = drop.kind in ("file", "hard link")
        if is_file and drop.change == "remove":
            assert places <= 1, (number, drop, places)
        elif is_file and drop.change in ("replace", "append", "truncate"):
            # One file, or what was taken and what came under its name afterwards.
            assert 1 <= places <= 2, (number, drop, places)
        else:
            assert (places, is_left) == (1, False), (number, drop, places, is_left)
            if is_file and moved:
                assert moved[0].read_bytes() == drop.content, (number, drop)
            if records:
                _check_records(drop, records)

    def _check_sentence(self, number: int, path: Path) -> None:
        text = path.with_name(path.name.removesuffix(".json") + NOTE).read_text(encoding="utf-8")
        assert text.endswith("\n"), text
        assert text[:-1].isprintable(), text
        assert text.startswith(_printable(self.name(number)) + ": "), (text, self.name(number))
        assert len(text) < LONGEST_SENTENCE, text


def _check_records(drop: Drop, records: list[dict[str, Any]]) -> None:
    """The records hold what was dropped, each item once for each of its tables."""
    parsed = json.loads(drop.content.decode("utf-8-sig"))
    expected: Counter[str] = Counter()
    for item in parsed if isinstance(parsed, list) else [parsed]:
        tables = item["table"] if isinstance(item["table"], list) else [item["table"]]
        expected[json.dumps(item, sort_keys=True)] += len(set(tables))
    found = Counter(json.dumps(record["dropped"], sort_keys=True) for record in records)
    assert found.total() == expected.total(), drop
    # A record that is put back may hold numbers that JSON does not know, in fields that nobody reads.
    if not any(word in text for text in expected for word in ("Infinity", "NaN")):
        assert found == expected, drop


def _printable(name: str) -> str:
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _number_of(name: str) -> int:
    number = name.partition("~")[0]
    return int(number) if number.isdecimal() else -1


def run_batch(home: Path, looker: Looker, batch_drops: list[Drop], batch_strays: dict[str, bytes]) -> None:
    """Drop the files, look while they change and a table is broken, and look until nothing moves any more."""
    shutil.rmtree(home / "landing", ignore_errors=True)
    (home / "landing").mkdir()
    query = home / "tables" / "broken" / "query.sql"
    query.write_text("selec")
    waiting = Drop(b"waiting.json", json.dumps(GOOD | {"table": "broken"}).encode(), "file", "none", b"")
    good = Drop(b"good.json", json.dumps(GOOD).encode(), "file", "none", b"")
    batch = Batch(home, [*batch_drops, waiting, good], batch_strays)
    batch.drop_all()
    writer = threading.Thread(target=batch.change_all)
    writer.start()
    messages = looker.look(later_seconds=0)
    writer.join()
    messages += looker.look(later_seconds=0)
    query.write_text(QUERY)
    for _ in range(LOOKS):
        new_messages = looker.look(later_seconds=3600)
        messages += new_messages
        if not new_messages:
            break
    for message in messages:
        assert message.isprintable(), message
    assert looker.megabytes < MOST_MEGABYTES, looker.megabytes
    batch.check()


def make_home(home: Path) -> None:
    """Two good tables, and one that is broken now and then."""
    for name in ("sales", "visits", "broken"):
        (home / "tables" / name).mkdir(parents=True)
        (home / "tables" / name / "query.sql").write_text(QUERY)
        (home / "tables" / name / "table.toml").write_text('day_column = "day"\nfirst_day = 2020-01-01\n')


def fuzz(count: int, chosen_seed: int) -> str:
    """Fuzz with that many files; returns how many there were, and the most memory. Raises what breaks a rule."""
    home = Path(tempfile.mkdtemp(prefix="reloads-fuzz-"))
    make_home(home)
    files = 0
    try:
        with looking_at(home) as looker:

            @seed(chosen_seed)
            @hypothesis.settings(
                max_examples=max(1, count // BATCH),
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(hypothesis.HealthCheck),
            )
            @given(st.lists(drops, min_size=BATCH, max_size=BATCH), strays)
            def run(batch_drops: list[Drop], batch_strays: dict[str, bytes]) -> None:
                nonlocal files
                files += len(batch_drops) + 2
                run_batch(home, looker, batch_drops, batch_strays)

            run()
            return f"{files} files, at most {looker.megabytes} MB"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Fuzz, or look for somebody who does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--look-at", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.look_at:
        look_at(arguments.look_at)
        return
    sys.stdout.write(f"seed {arguments.seed}\n")
    sys.stdout.flush()
    sys.stdout.write(fuzz(arguments.files, arguments.seed) + "\n")


if __name__ == "__main__":
    main()
