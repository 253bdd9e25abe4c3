"""Lineage: which table reads which, and how many days of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from graphlib import TopologicalSorter

from reloads.days import DateRange, Days
from reloads.errors import shorten

LONGEST_WINDOW = 366
"""Days. A reload of one day rewrites as many days of every downstream table."""

_WINDOW = re.compile(r"([1-9][0-9]{0,2}) days?")


def parse_window(text: object) -> int:
    """The number of days that ``7 days`` or ``1 day`` names; ``ValueError`` with a clause for anything else."""
    match = _WINDOW.fullmatch(text) if isinstance(text, str) else None
    days = int(match[1]) if match else 0
    if not 1 <= days <= LONGEST_WINDOW:
        raise ValueError(f"{shorten(repr(text))} is not from 1 to {LONGEST_WINDOW} days; write it like '7 days'")
    return days


def input_days(days: Days, window: int) -> Days:
    """The days of an input that these days of a table are made of: each day and the ``window - 1`` before it."""
    return Days.from_ranges(DateRange(_shift_day(each.first, 1 - window), each.last) for each in days.ranges)


def dependent_days(days: Days, window: int) -> Days:
    """The days of a downstream table that these days of its input go into: each and the ``window - 1`` after it."""
    return Days.from_ranges(DateRange(each.first, _shift_day(each.last, window - 1)) for each in days.ranges)


def _shift_day(day: date, offset: int) -> date:
    """The day so many days later, or the first or last of the calendar."""
    ordinal = day.toordinal() + offset
    return date.fromordinal(min(max(ordinal, date.min.toordinal()), date.max.toordinal()))


@dataclass(frozen=True)
class Lineage:
    """Which table reads which, and how many days of it: ``inputs["carrier_week"] == {"flights": 7}``.

    A table that only occurs as an input reads nothing.
    """

    inputs: Mapping[str, Mapping[str, int]]

    def inputs_of(self, table: str) -> dict[str, int]:
        """The tables that this one reads itself, sorted by name, and the window of each."""
        return dict(sorted(self.inputs.get(table, {}).items()))

    def downstream(self, table: str) -> dict[str, int]:
        """The tables that read this one themselves, sorted by name, and the window of each."""
        windows: dict[str, int] = {}
        for name, inputs in sorted(self.inputs.items()):
            if table in inputs:
                windows[name] = inputs[table]
        return windows

    def all_downstream(self, table: str) -> set[str]:
        """The tables that read this one, directly or through others."""
        return _collect_edges(table, self.downstream).keys() - {table}

    def load_order(self) -> tuple[str, ...]:
        """All tables, each behind its inputs, else by name; ``graphlib.CycleError`` if there is a cycle."""
        return _sort_inputs_first(self.inputs)

    def cycles(self) -> dict[str, tuple[str, ...]]:
        """Each table that reads itself, directly or not, and its shortest cycle: ``("a", "b", "a")``, a reads b."""
        cycles: dict[str, tuple[str, ...]] = {}
        for table in sorted(self.inputs):
            cycle = self._find_cycle(table)
            if cycle:
                cycles[table] = cycle
        return cycles

    def upstream_days(self, table: str, days: Days) -> dict[str, Days]:
        """All tables that this one reads, directly or not, inputs first, and the days of each that these days need.

        Raises ``graphlib.CycleError`` if one of them is on a cycle; so does ``downstream_days``.
        """
        return self._propagate(table, days, self.inputs_of, input_days)

    def downstream_days(self, table: str, days: Days) -> dict[str, Days]:
        """All tables that read this one, directly or not, inputs first, and the days of each that need these days."""
        return self._propagate(table, days, self.downstream, dependent_days)

    def _find_cycle(self, table: str) -> tuple[str, ...]:
        """The shortest way from the table back to itself, or nothing; breadth first, so the first one is shortest."""
        paths: list[tuple[str, ...]] = [(table,)]
        visited: set[str] = set()
        for path in paths:
            for name in self.inputs_of(path[-1]):
                if name == table:
                    return (*path, table)
                if name not in visited:
                    visited.add(name)
                    paths.append((*path, name))
        return ()

    def _propagate(
        self, start: str, days: Days, neighbours: Callable[[str], dict[str, int]], widen: Callable[[Days, int], Days]
    ) -> dict[str, Days]:
        """Walk from ``start`` along ``neighbours``, and ``widen`` the days by the window of every step."""
        edges = _collect_edges(start, neighbours)
        days_by_table = dict.fromkeys(edges, Days())
        days_by_table[start] = days
        # Every table before its neighbours, so that its own days are complete when they are passed on.
        for name in reversed(_sort_inputs_first(edges)):
            for neighbour, window in edges[name].items():
                days_by_table[neighbour] |= widen(days_by_table[name], window)
        order = _sort_inputs_first({name: self.inputs_of(name).keys() & edges for name in edges})
        return {name: days_by_table[name] for name in order if name != start}


def _collect_edges(start: str, neighbours: Callable[[str], dict[str, int]]) -> dict[str, dict[str, int]]:
    """The start and every table that can be reached from it, each with its own neighbours."""
    edges: dict[str, dict[str, int]] = {}
    names = [start]
    while names:
        name = names.pop()
        if name not in edges:
            edges[name] = neighbours(name)
            names += edges[name]
    return edges


def _sort_inputs_first(inputs: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    sorter = TopologicalSorter(inputs)
    sorter.prepare()
    order: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        order += ready
        sorter.done(*ready)
    return tuple(order)
