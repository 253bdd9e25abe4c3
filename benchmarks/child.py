"""What a Python process costs: wall clock and CPU seconds by the operating system's account, and its most memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.readings import CLONE

# Not by ``getrusage``: a process begins with the memory of the one that started it.
_MEASURED = """
import atexit, sys
from pathlib import Path
atexit.register(lambda file: Path(file).write_text(Path("/proc/self/status").read_text()), sys.argv.pop(1))
"""

RELOADS = "from reloads.cli.main import main; main()"
"""The command line as the code of a process."""


@dataclass(frozen=True)
class Cost:
    """Of one process, imports included, and of those that it waited for."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    """The most that it had at once."""
    answer: str
    """What it printed."""


def run_python(code: str, *words: str, variables: Mapping[str, str] | None = None) -> Cost:
    """Run this code to its end, with these words as its arguments; raises ``SystemExit`` if it fails."""
    with tempfile.TemporaryDirectory(prefix="reloads-cost-") as folder:
        status_file, answer_file = Path(folder, "status"), Path(folder, "answer")
        command = [sys.executable, "-c", _MEASURED + code, str(status_file), *words]
        begun = time.monotonic()
        with answer_file.open("wb") as answer:
            process = subprocess.Popen(command, stdout=answer, env=os.environ | dict(variables or {}), cwd=CLONE)
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        printed = answer_file.read_text(encoding="utf-8")
        if process.returncode:
            raise SystemExit(f"{' '.join(words) or code} ended with {process.returncode}: {printed}")
        [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", status_file.read_text(encoding="ascii"))
        return Cost(seconds, usage.ru_utime + usage.ru_stime, int(kilobytes) / 1024, printed)


def run_command(home: Path, *words: str, variables: Mapping[str, str] | None = None) -> Cost:
    """Run ``reloads`` with these words in a home."""
    own = {"RELOADS_HOME": str(home), "RELOADS_TIME_ZONE": "UTC"}
    return run_python(RELOADS, *words, variables=own | dict(variables or {}))
