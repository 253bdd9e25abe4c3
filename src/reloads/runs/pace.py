"""The pace of a table: how long a day of it took the last time. ``landing/.watermarks/pace-<table>``.

Where several machines rewrite, it says how short a batch may be. It is a courtesy: nothing waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from reloads.errors import OperatorError
from reloads.outcome import Outcome
from reloads.requests.watermark import read_watermark, write_watermark


def note_pace(landing: Path, table: str, outcomes: Iterable[Outcome]) -> None:
    """Note the seconds that a day took in the batches of a run; nothing where they rewrote none."""
    seconds, days = 0.0, 0
    for outcome in outcomes:
        if outcome.fulfilled:
            seconds += outcome.seconds
            days += len(outcome.fulfilled)
    if days:
        with suppress(OperatorError):
            write_watermark(landing, "pace", table, f"{seconds / days:.6f}")


def read_pace(landing: Path, table: str) -> float | None:
    """The seconds that a day of the table took the last time; None where that is not known."""
    with suppress(OperatorError):
        return read_watermark(landing, "pace", table, _parse_pace)
    return None


def _parse_pace(text: str) -> float:
    pace = float(text)
    if not 0 < pace < float("inf"):
        raise ValueError("it is not a time")
    return pace
