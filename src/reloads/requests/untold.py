"""Tables of which Airflow is still to be told what was published outside of its runs: ``landing/.untold/<table>``.

The doorbell finds them and wakes the table's DAG, whose last task tells.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from reloads.files import write_atomically
from reloads.requests.doorbell_notes import Notes
from reloads.requests.neglect import KNOCK, LONGEST_WAIT

FOLDER = ".untold"


def leave_untold(landing: Path, table: str) -> None:
    """Have the doorbell wake the table's DAG now."""
    _notes(landing).leave(table)
    write_atomically(landing / KNOCK, "")


def find_untold(landing: Path, *, now: datetime, after: timedelta = LONGEST_WAIT) -> list[str]:
    """The tables that nobody took care of for that long, sorted."""
    return _notes(landing).find_due(now=now, after=after)


def attend_untold(landing: Path, table: str) -> None:
    """Note that somebody takes care of it now."""
    _notes(landing).attend(table)


def forget_untold(landing: Path, table: str) -> None:
    """Note that Airflow is told."""
    _notes(landing).remove(table)


def _notes(landing: Path) -> Notes:
    return Notes(landing / FOLDER)
