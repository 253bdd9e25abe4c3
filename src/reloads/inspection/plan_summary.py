"""A plan as a person reads it: the partitions of each table together, by why they would be rewritten or left alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from reloads.days import Days
from reloads.inspection.preview import PlanLine
from reloads.warehouse.partition_name import PartitionName


@dataclass
class PlanPart:
    """Partitions of one table that share a reason; ``rows`` and ``bytes`` are published now and would be replaced."""

    is_planned: bool
    why: str
    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    _days: set[date] = field(default_factory=set)

    @property
    def days(self) -> Days:
        """Their days, each once."""
        return Days.of(self._days)

    def add(self, line: PlanLine) -> None:
        """Count one partition more."""
        self._days.add(PartitionName.parse(line.partition).day)
        self.partitions += 1
        self.rows += line.rows or 0
        self.bytes += line.bytes or 0


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


def summarize(lines: Iterable[PlanLine]) -> list[TablePlan]:
    """The tables in the order of the lines, and what is planned of each before what is not."""
    parts: dict[str, dict[tuple[bool, str], PlanPart]] = {}
    for line in lines:
        of_table = parts.setdefault(line.table, {})
        of_table.setdefault((line.is_planned, line.why), PlanPart(line.is_planned, line.why)).add(line)
    plans: list[TablePlan] = []
    for table, of_table in parts.items():
        in_order = sorted(of_table.values(), key=lambda part: (not part.is_planned, part.days.ranges))
        plans.append(TablePlan(table, in_order))
    return plans
