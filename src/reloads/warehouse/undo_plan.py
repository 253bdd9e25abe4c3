"""What an undo of a request puts back: the states of its partitions, read from the files and the history.

A partition went through states, one act after the other. The request made some of the steps; if the last state that it
made still stands, the one before it can be put back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from reloads.settings import Settings
from reloads.tables.definition import Table
from reloads.warehouse.fingerprint import identity_or_none
from reloads.warehouse.history import Act, History, Kept
from reloads.warehouse.ledger import Entry, read_ledger
from reloads.warehouse.partition_name import LedgerName, PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of

UNDO = "undo/"
"""What the name of an undo's run begins with."""


@dataclass(frozen=True)
class UndoPlan:
    """What an undo of one request does at one table."""

    back: Mapping[PartitionName, Kept]
    """By partition, what is put back."""
    later: Mapping[PartitionName, str]
    """The partitions that a later request has rewritten, with that request."""
    acts: Mapping[int, Act]
    is_back: bool
    """Whether some of what the request replaced is back already."""
    identities: Mapping[PartitionName, str | None]
    """Of the files that are published now; None where there is no file."""

    @cached_property
    def entries(self) -> dict[LedgerName, Entry]:
        """What the ledger said of these partitions, and of their days, before the request."""
        names_by_act = {stamp: _by_partition(self.acts[stamp].before) for stamp in self._stamps()}
        entries: dict[LedgerName, Entry] = {}
        for partition, kept in sorted(self.back.items(), key=lambda item: item[1].stamp):
            for part in {partition, partition.day_name}:
                for name in names_by_act[kept.stamp].get(part, ()):
                    if name not in entries:
                        entries[name] = Entry(**self.acts[kept.stamp].before[name])
        return entries

    @cached_property
    def entered(self) -> set[LedgerName]:
        """What the request entered into the ledger of these partitions, and of their days."""
        names_by_act = {stamp: _by_partition(self.acts[stamp].entered) for stamp in self._stamps()}
        entered: set[LedgerName] = set()
        for partition, kept in self.back.items():
            for part in (partition, partition.day_name):
                entered.update(names_by_act[kept.stamp].get(part, ()))
        return entered

    def _stamps(self) -> set[int]:
        return {kept.stamp for kept in self.back.values()}


def _by_partition(names: Iterable[LedgerName]) -> dict[PartitionName, list[LedgerName]]:
    """Names in a ledger by the partition, or the day, that they are of."""
    by_partition: dict[PartitionName, list[LedgerName]] = {}
    for name in names:
        partition = name if isinstance(name, PartitionName) else name.day_name
        by_partition.setdefault(partition, []).append(name)
    return by_partition


@dataclass(frozen=True)
class _Step:
    """What one act did to one partition: the requests it served, and the identities before and after it."""

    kept: Kept
    act: Act | None
    requests: tuple[str, ...]
    before: str | None
    after: str | None


@dataclass(frozen=True)
class _Verdict:
    """What would go back at one partition, and what speaks against that."""

    kept: Kept
    is_back: bool = False
    """Whether it is back already."""
    later_request: str = ""
    """The request that has rewritten the partition since."""


def plan_undo(settings: Settings, table: Table, request: str, *, force: bool) -> UndoPlan:
    """What ``request`` replaced, and which of it somebody rewrote since; with ``force`` that is put back as well."""
    folder = folder_of(settings.warehouse, table)
    acts = History(settings.warehouse, table.name).acts()
    ledger = read_ledger(settings.warehouse, table.name)
    back: dict[PartitionName, Kept] = {}
    later: dict[PartitionName, str] = {}
    identities: dict[PartitionName, str | None] = {}
    is_back = False
    for partition, steps in _steps_by_partition(folder, acts, request).items():
        identities[partition] = identity_or_none(folder.file(partition))
        entry = ledger.entries.get(partition)
        verdict = _judge_partition(steps, request, identities[partition], entry)
        if verdict.later_request and not force:
            later[partition] = verdict.later_request
        elif verdict.is_back and not force:
            is_back = True
        else:
            back[partition] = verdict.kept
    return UndoPlan(back, later, acts, is_back, identities)


def _judge_partition(steps: Sequence[_Step], request: str, published: str | None, entry: Entry | None) -> _Verdict:
    """Judge by the identity of the file that is published now, and by what the ledger says of it."""
    first, last = _last_block([request in step.requests for step in steps])
    kept = steps[first].kept
    if steps[first].before == published:
        # Where the ledger says otherwise, an undo was killed before the ledger knew of it.
        return _Verdict(kept, is_back=(entry.file if entry else None) == published)
    if published != steps[last].after or _is_foreign(steps[last]):
        return _Verdict(kept, later_request=_last_requests(steps[last:]))
    return _Verdict(kept)


def _steps_by_partition(folder: TableFolder, acts: Mapping[int, Act], request: str) -> dict[PartitionName, list[_Step]]:
    """What changed the partitions that ``request`` changed, oldest first."""
    kept_by_partition: dict[PartitionName, list[Kept]] = {}
    touched: list[PartitionName] = []
    for kept in History(folder.warehouse, folder.table).kept():
        if folder.has_form_of(kept.partition):
            kept_by_partition.setdefault(kept.partition, []).append(kept)
            if request in _requests_of(acts.get(kept.stamp), kept.partition):
                touched.append(kept.partition)
    steps_by_partition: dict[PartitionName, list[_Step]] = {}
    for partition in dict.fromkeys(touched):
        steps = _steps(kept_by_partition[partition], acts, identity_or_none(folder.file(partition)))
        if any(request in step.requests for step in steps):
            steps_by_partition[partition] = steps
    return steps_by_partition


def _steps(kept_files: Sequence[Kept], acts: Mapping[int, Act], published: str | None) -> list[_Step]:
    """What changed one partition, oldest first.

    An act that noted a partition and did not come to replace it, as it was killed or refused, changed nothing.
    """
    steps: list[_Step] = []
    after = published
    for kept in reversed(kept_files):
        before = identity_or_none(kept.file)
        if before != after:
            act = acts.get(kept.stamp)
            steps.append(_Step(kept, act, _requests_of(act, kept.partition), before, after))
        after = before
    return steps[::-1]


def _last_block(is_by_request: Sequence[bool]) -> tuple[int, int]:
    """The first and the last of the last run of steps by the request: a task that was tried again makes several."""
    last = len(is_by_request) - 1 - is_by_request[::-1].index(True)
    first = last
    while first and is_by_request[first - 1]:
        first -= 1
    return first, last


def _is_foreign(step: _Step) -> bool:
    """Whether the file after a step is not the one that it wrote, as where no history was kept for a while."""
    is_restoring = step.act is not None and step.act.run.startswith(UNDO)
    return bool(step.after) and not is_restoring and not str(step.after).startswith(f"{step.kept.stamp}-")


def _last_requests(steps: Sequence[_Step]) -> str:
    """The requests that made the partition what it is now, after the first of these steps.

    What was undone since does not count: a step back to an earlier state takes away the steps after that state.
    """
    standing: list[_Step] = []
    for step in steps[1:]:
        states = [steps[0].after, *(earlier.after for earlier in standing)]
        if step.after in states:
            standing = standing[: states.index(step.after)]
        else:
            standing.append(step)
    return ", ".join(standing[-1].requests if standing else ()) or "somebody"


def _requests_of(act: Act | None, partition: PartitionName) -> tuple[str, ...]:
    """The requests because of which the act touched the partition; none where the act has expired."""
    if act is None:
        return ()
    return tuple(request for request, days in act.requests.items() if partition.day in days)
