"""What one look at the drop folder costs: many files, many requests in a file, and the most expensive files to judge.

    python -m benchmarks.look

Each line is one process's time until nothing is left in the drop folder, records and sentences flushed, and the most
memory that it had. Writes into a temporary folder. Prints the table for `benchmarks/RESULTS.md`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from reloads.requests.acceptance import process_files
from reloads.requests.queue import Queue
from reloads.tables.catalog import Catalog

CLONE = Path(__file__).resolve().parent.parent
REQUEST = {"table": "flights", "start_date": "2013-01-01"}
RECORD = {"id": "a", "mode": "daily", "accepted_at": "2024-01-01T00:00:00Z", "table": "flights"}


def _write(landing: Path, count: int, content: bytes) -> None:
    for number in range(count):
        (landing / f"{number}.json").write_bytes(content)


def _write_bad_and_one_good(landing: Path) -> None:
    _write(landing, 10_000, b"bad")
    (landing / "good.json").write_text(json.dumps(REQUEST))


GOOD = json.dumps(REQUEST).encode()
SCENES: dict[str, Callable[[Path], None]] = {
    "3,000 requests in one file": partial(_write, count=1, content=json.dumps([REQUEST] * 3000).encode()),
    "10,000 good files": partial(_write, count=10_000, content=GOOD),
    "10,000 bad files and a good one": _write_bad_and_one_good,
    "1 MiB: 300,000 tables that are no names": partial(
        _write, count=1, content=json.dumps(REQUEST | {"table": [1] * 300_000}).encode()
    ),
    "1 MiB: a record of 70,000 ranges": partial(
        _write,
        count=1,
        content=json.dumps(RECORD | {"days": [f"{1 + n // 28:04}-01-{1 + n % 28:02}" for n in range(70_000)]}).encode(),
    ),
    "1 MiB: 5,000 requests and 7,000 more": partial(_write, count=1, content=json.dumps([REQUEST] * 12_000).encode()),
    "1 MiB: 350,000 empty objects": partial(_write, count=1, content=b"[" + b"{}," * 349_000 + b"{}]"),
    "1 MiB: quotes": partial(_write, count=1, content=b'"' * 2**20),
}


def main() -> None:
    """Measure each in a process of its own, and print the table."""
    if len(sys.argv) > 1:
        _measure(sys.argv[1])
        return
    sys.stdout.write("| | s | most MB |\n|---|---|---|\n")
    for name in SCENES:
        command = [sys.executable, "-m", "benchmarks.look", name]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CLONE)
        sys.stdout.write(answer.stdout)
        sys.stdout.flush()


def _measure(name: str) -> None:
    home = Path(tempfile.mkdtemp(prefix="reloads-look-"))
    try:
        landing = home / "landing"
        landing.mkdir()
        SCENES[name](landing)
        catalog, queue = Catalog.load(CLONE / "tables"), Queue(landing)
        now = datetime.now(UTC) + timedelta(minutes=1)
        os.sync()  # so that it does not pay for what was written before
        begun = time.monotonic()
        while any(landing.glob("*.json")):
            process_files(queue, catalog=catalog, now=now, today=now.date(), stable_seconds=3)
        seconds = time.monotonic() - begun
    finally:
        shutil.rmtree(home)
    # Not that of ``getrusage``, which counts the process that started this one, too.
    kilobytes = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    megabytes = int(kilobytes[0]) // 1024
    sys.stdout.write(f"| {name} | {seconds:.1f} | {megabytes} |\n")


if __name__ == "__main__":
    main()
