"""A batch: what planning hands to rewriting, through XCom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reloads.days import Days
from reloads.partition_filter import PartitionFilter

SHOWN_RANGES = 3


@dataclass(frozen=True)
class Batch:
    """What one mapped task rewrites in one query: days, partition filter, parameters, and for whom."""

    days: Days
    partition_filter: PartitionFilter = field(default_factory=PartitionFilter)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    requests: Mapping[str, Days] = field(default_factory=dict)
    """The requests that it serves, each with its days."""
    no_cascade_days: Days = field(default_factory=Days)
    """Days that downstream tables do not follow, because nobody who asked for them wants that."""
    number: int = 0
    batch_count: int = 1
    """How many batches the run has; they share the machine."""
    minutes: float | None = None
    """How long a try of it may take; None for as long as it takes."""
    planned_at: str = ""
    """How far the log of its table had come when the run was planned: what its tries publish comes behind that."""

    @property
    def label(self) -> str:
        """The days in a few words, and which of their keys."""
        text = ", ".join(self.days.texts()[:SHOWN_RANGES])
        if len(self.days.ranges) > SHOWN_RANGES:
            text += ", …"
        if len(self.days) > 1:
            text += f" ({len(self.days)} days)"
        if str(self.partition_filter):
            text += f", {self.partition_filter}"
        return text

    def to_json(self) -> dict[str, Any]:
        """A small value for XCom; ``label`` is what the UI shows."""
        return {
            "label": self.label,
            "days": self.days.texts(),
            "partition_filter": self.partition_filter.to_json(),
            "parameters": dict(self.parameters),
            "requests": {request: days.texts() for request, days in self.requests.items()},
            "no_cascade_days": self.no_cascade_days.texts(),
            "number": self.number,
            "batch_count": self.batch_count,
            "minutes": self.minutes,
            "planned_at": self.planned_at,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Batch:
        """The inverse of ``to_json``."""
        return cls(
            days=Days.parse(value["days"]),
            partition_filter=PartitionFilter.from_json(value["partition_filter"]),
            parameters=value["parameters"],
            requests={request: Days.parse(texts) for request, texts in value["requests"].items()},
            no_cascade_days=Days.parse(value["no_cascade_days"]),
            number=value["number"],
            batch_count=value["batch_count"],
            # An earlier release, which planned the batch, knew none of these.
            minutes=value.get("minutes"),
            planned_at=value.get("planned_at", ""),
        )
