"""What an undo of a request puts back: the states of its partitions, told from the files and the history.

A partition went through states, one act after the other. The request made some of the steps; if the last state that it
made still stands, the one before it can be put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.warehouse.fingerprint import identity_or_none
from reloads.warehouse.history import Act, History, Kept
from reloads.warehouse.ledger import Entry, read_ledger
from reloads.warehouse.partitions import TableFolder, day_part, folder_of, is_of_day

UNDO = "undo/"
"""What the name of an undo's run begins with."""


@dataclass(frozen=True)
class UndoPlan:
    """What an undo of one request does at one table."""

    back: Mapping[str, Kept]
    """By partition, what is put back."""
    later: Mapping[str, str]
    """The partitions that a later request has rewritten, with that request."""
    acts: Mapping[int, Act]
    is_back: bool
    """Whether some of what the request replaced is back already."""
    now: Mapping[str, str | None]
    """The identities of the partitions at this moment; None where there is no file."""

    @cached_property
    def entries(self) -> dict[str, Entry]:
        """What the ledger said of these partitions, and of their days, before the request."""
        by_act = {stamp: _by_partition(self.acts[stamp].before) for stamp in self._stamps()}
        found: dict[str, Entry] = {}
        for name, kept in sorted(self.back.items(), key=lambda both: both[1].stamp):
            before = self.acts[kept.stamp].before
            known = (one for part in {name, day_part(name)} for one in by_act[kept.stamp].get(part, ()))
            found |= {one: Entry(**before[one]) for one in known if one not in found}
        return found

    @cached_property
    def entered(self) -> set[str]:
        """What the request entered into the ledger of these partitions, and of their days."""
        by_act = {stamp: _by_partition(self.acts[stamp].entered) for stamp in self._stamps()}
        parts = ((kept.stamp, part) for name, kept in self.back.items() for part in {name, day_part(name)})
        return {one for stamp, part in set(parts) for one in by_act[stamp].get(part, ())}

    def _stamps(self) -> set[int]:
        return {kept.stamp for kept in self.back.values()}


def _by_partition(names: Iterable[str]) -> dict[str, list[str]]:
    """Names in a ledger by the partition, or the day, that they are of."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(day_part(name) if is_of_day(name) else name, []).append(name)
    return found


@dataclass(frozen=True)
class _Step:
    """What one act did to one partition: whoever wanted it, and the identities before and after it."""

    kept: Kept
    by: tuple[str, ...]
    before: str | None
    after: str | None


def plan_undo(settings: Settings, table: Table, request: str, *, force: bool) -> UndoPlan:
    """What ``request`` replaced, and which of it somebody rewrote since; with ``force`` that is put back as well."""
    history, folder = History(settings.warehouse, table.name), folder_of(settings.warehouse, table)
    acts, known = history.acts(), read_ledger(settings.warehouse, table.name).entries
    back: dict[str, Kept] = {}
    later: dict[str, str] = {}
    is_back, seen = False, dict[str, str | None]()
    kept = [one for one in history.kept() if folder.is_name(one.partition)]
    for name, steps in _steps(kept, acts, folder, request).items():
        now = seen[name] = identity_or_none(folder.file(name))
        first, last = _last_block([request in step.by for step in steps])
        if steps[first].before != now:
            if now != steps[last].after or _is_strange(steps[last], acts):
                later[name] = _who(steps[last:])
        elif not force and (known[name].file if name in known else None) == now:
            is_back = True
            continue
        # Or an undo was killed before the ledger knew of it.
        back[name] = steps[first].kept
    if not force:
        back = {name: kept for name, kept in back.items() if name not in later}
    return UndoPlan(back, {} if force else later, acts, is_back, seen)


def _steps(kept: Sequence[Kept], acts: Mapping[int, Act], folder: TableFolder, request: str) -> dict[str, list[_Step]]:
    """What changed the partitions that ``request`` changed, oldest first.

    An act that noted a partition and did not come to replace it, as it was killed or refused, changed nothing.
    """
    by = {(one.stamp, one.partition): _by(acts.get(one.stamp), folder.day_of(one.partition)) for one in kept}
    found: dict[str, list[_Step]] = {one.partition: [] for one in kept if request in by[one.stamp, one.partition]}
    after = {name: identity_or_none(folder.file(name)) for name in found}
    for one in reversed(kept):
        if (name := one.partition) in found:
            before = identity_or_none(one.file)
            if before != after[name]:
                found[name].insert(0, _Step(one, by[one.stamp, name], before, after[name]))
            after[name] = before
    return {name: steps for name, steps in found.items() if any(request in step.by for step in steps)}


def _last_block(ours: Sequence[bool]) -> tuple[int, int]:
    """The first and the last of the last run of steps that are ours: a task that was tried again makes several."""
    last = len(ours) - 1 - ours[::-1].index(True)
    first = last
    while first and ours[first - 1]:
        first -= 1
    return first, last


def _is_strange(step: _Step, acts: Mapping[int, Act]) -> bool:
    """Whether the file after a step is not the one that it wrote, as where no history was kept for a while."""
    is_restoring = acts[step.kept.stamp].run.startswith(UNDO)
    return bool(step.after) and not is_restoring and not str(step.after).startswith(f"{step.kept.stamp}-")


def _who(steps: Sequence[_Step]) -> str:
    """Who made the partition what it is now, after the first of these steps; what was undone since does not count."""
    made: list[_Step] = []
    for step in steps[1:]:
        states = [steps[0].after, *(one.after for one in made)]
        made = made[: states.index(step.after)] if step.after in states else [*made, step]
    return ", ".join(made[-1].by if made else ()) or "somebody"


def _by(act: Act | None, day: date) -> tuple[str, ...]:
    return tuple(name for name, days in act.requests.items() if day in days) if act else ()
