"""Do the clocks agree: this machine's, that of the file systems, and that by which was written what is there?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from reloads.inspection.doctor.finding import Finding, good, wrong
from reloads.inspection.doctor.probe import probe_file
from reloads.settings import Settings

TOLERANCE_SECONDS = 5
CURE = "have NTP set the clocks of all machines"


def examine_clock(settings: Settings, *, now: datetime) -> Iterator[Finding]:
    """Whether the file systems' clocks agree with ``now``, and nothing was written later than that."""
    faults: list[str] = []
    for folder in (settings.landing, settings.warehouse):
        with suppress(OSError), probe_file(folder) as path:
            began = datetime.now(UTC)
            if fault := _compare(folder, datetime.fromtimestamp(path.stat().st_mtime, UTC), began):
                faults.append(fault)
    newest = max(_times_of_records(settings), default=None)
    if newest and (newest[0] - now).total_seconds() > TOLERANCE_SECONDS:
        at, path = newest
        faults.append(f"{path} was written at {_show(at)}, and it is only {_show(now)} now; {CURE}")
    for fault in faults:
        yield wrong("clock", fault)
    if not faults:
        yield good("clock", f"{_show(now)} is the time of this machine and of its folders")


def _compare(folder: Path, theirs: datetime, ours: datetime) -> str | None:
    if abs((theirs - ours).total_seconds()) <= TOLERANCE_SECONDS:
        return None
    return f"a file written to {folder} at {_show(ours)} has the time {_show(theirs)}; {CURE}"


def _times_of_records(settings: Settings) -> Iterator[tuple[datetime, Path]]:
    """When each open request was last touched, and when each table was last published to."""
    accepted = (settings.landing / "accepted").glob("*.json")
    logs = (settings.warehouse / ".log").glob("*/")
    for path in (*accepted, *logs):
        with suppress(OSError):
            yield datetime.fromtimestamp(path.stat().st_mtime, UTC), path


def _show(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
