"""A plan as a person reads it: the partitions of each table together, by why they would be rewritten or left alone."""

from __future__ import annotations

from dataclasses import dataclass

from reloads.days import Days
from reloads.inspection.preview import Preview, PreviewPart


@dataclass(frozen=True)
class PlanPart:
    """Partitions of one table that share a reason; ``rows`` and ``bytes`` are published now and would be replaced."""

    is_planned: bool
    why: str
    days: Days
    partitions: int
    rows: int
    bytes: int


@dataclass
class TablePlan:
    """What a request would do at one table."""

    table: str
    parts: list[PlanPart]

    @property
    def planned(self) -> list[PlanPart]:
        """Those of the parts that would be rewritten."""
        return [part for part in self.parts if part.is_planned]

    @property
    def planned_days(self) -> Days:
        """The days that would be rewritten, or some partitions of them."""
        return Days.union(part.days for part in self.planned)


def summarize(preview: Preview) -> list[TablePlan]:
    """The tables in the order of the preview, and what is planned of each before what is not."""
    plans: list[TablePlan] = []
    for table in preview.tables:
        parts = sorted(map(_add_up, table.parts), key=lambda part: (not part.is_planned, part.days.ranges))
        plans.append(TablePlan(table.table, parts))
    return plans


def _add_up(part: PreviewPart) -> PlanPart:
    sizes = part.sizes()
    return PlanPart(part.is_planned, part.why, part.days, sizes.partitions, sizes.rows, sizes.bytes)
