"""Progress: what rewriting tells while a batch is at work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

from reloads.days import Days, parse_day

Step = Literal["starting", "reading", "writing", "checking", "comparing", "publishing", "done"]
STEPS: tuple[Step, ...] = ("starting", "reading", "writing", "checking", "comparing", "publishing", "done")
"""What a batch does, in order. A batch whose query failed begins again, for fewer days at a time."""


@dataclass(frozen=True)
class BatchProgress:
    """How far one batch has come."""

    step: Step = "starting"
    staged: Days = field(default_factory=Days)
    """The days whose files are written, be they published yet or not."""
    rows_by_day: Mapping[date, int] = field(default_factory=dict)
    """The rows written so far, also of days that are not complete."""
    percent: int | None = None
    """How much of its query is read, while that is known."""

    @cached_property
    def rows(self) -> int:
        """All rows written so far."""
        return sum(self.rows_by_day.values())

    def count_rows(self, days: Days) -> int:
        """Those of these days."""
        return sum(self.rows_by_day.get(day, 0) for day in days)

    def to_json(self) -> dict[str, Any]:
        """The content of a note."""
        return {
            "step": self.step,
            "staged": self.staged.texts(),
            "rows_by_day": {str(day): rows for day, rows in self.rows_by_day.items()},
            "percent": self.percent,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BatchProgress:
        """The inverse of ``to_json``."""
        return cls(
            value["step"],
            Days.parse(value["staged"]),
            {parse_day(day): rows for day, rows in value["rows_by_day"].items()},
            value["percent"],
        )
