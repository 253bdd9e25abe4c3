"""The log that a ledger and a history of an earlier release make: one commit for each act, oldest first.

The first commit takes over what lay there before the oldest act that is kept. What somebody put there between two acts
is taken over behind the first of them. So an undo of a request from before the log finds what the old history had.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path

from reloads.days import Days
from reloads.warehouse.commit import Act, Commit, Entry, Making, Point
from reloads.warehouse.current_view import version_path
from reloads.warehouse.old_layout import OldAct, OldEntry, OldHistory, OldLedger, OldName, find_broken_days, identity
from reloads.warehouse.old_makings import Makings
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder

UPGRADE = "upgrade"
"""The run of commits whose run is not known."""

NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
"""The value of a key of which it is only known that partitions of the day are gone. No partition has it: NULL keys are
refused."""


@dataclass(frozen=True)
class OldTable:
    """What an earlier release left of a table."""

    folder: TableFolder
    key_slices: int
    ledger: OldLedger
    history: OldHistory
    notices: Mapping[int, Days | None]
    """By stamp, the days that nobody has followed yet; None for all."""
    makings: Makings


@dataclass(frozen=True)
class OldFile:
    """A file that was published, with what the ledger said of it; nothing where it spoke of another."""

    path: Path
    identity: str
    entry: OldEntry | None


@dataclass(frozen=True)
class Step:
    """What one act changed at one partition; None where there is no file."""

    name: PartitionName
    before: OldFile | None
    after: OldFile | None


@dataclass
class Takeover:
    """The log of a table that is taken over, its entries after the last commit, and the files of its versions."""

    commits: list[Commit] = field(default_factory=list)
    entries: dict[PartitionName, Entry] = field(default_factory=dict)
    files: dict[Path, Path] = field(default_factory=dict)
    """By the place of the version, the file that lies there now."""

    @property
    def followed(self) -> Point:
        """Behind which all is that nobody has followed yet."""
        for commit in self.commits:
            if commit.changed_days() - commit.no_cascade_days:
                return replace(commit.point, number=commit.number - 1)
        return self.commits[-1].point


def take_over(old: OldTable, *, log: str, now: datetime) -> Takeover:
    """The log, named ``log``, that the old files of a table make. Writes nothing."""
    return _Writer(old, log, now).write()


def published_file(path: Path, name: PartitionName, ledger: OldLedger) -> OldFile:
    """A published file with what the ledger says of it."""
    return _describe(path, ledger.entries.get(OldName(name)))


def _describe(path: Path, entry: OldEntry | None) -> OldFile:
    file = identity(path)
    return OldFile(path, file, entry if entry and entry.file == file else None)


def _find_states(old: OldTable, published: Mapping[PartitionName, Path]) -> dict[PartitionName, list[OldFile | None]]:
    """What lay at each partition before each act that replaced it, and what lies there now."""
    states: dict[PartitionName, list[OldFile | None]] = {}
    for name, kept_files in old.history.kept.items():
        if old.folder.has_form_of(name):
            for kept in kept_files:
                act = old.history.acts.get(kept.stamp, OldAct())
                state = _describe(kept.file, act.before.get(OldName(name))) if kept.file else None
                states.setdefault(name, []).append(state)
    for name in (*states, *(name for name in published if name not in states)):
        state = published_file(published[name], name, old.ledger) if name in published else None
        states.setdefault(name, []).append(state)
    return states


class _Days:
    """What the ledger said of days as a whole at one time or another, in a table with keys."""

    def __init__(self, old: OldTable, published: Mapping[PartitionName, Path]) -> None:
        self._old = old
        self._broken_days = find_broken_days(old.ledger, published)
        self._mentions: dict[OldName, list[int]] = {}
        for stamp, act in old.history.acts.items():
            for name in act.entered.union(act.before):
                if name.partition.is_of_day:
                    self._mentions.setdefault(name, []).append(stamp)

    def is_mentioned(self, day_name: PartitionName) -> bool:
        """Whether an act that is kept knew of the day."""
        return any(name in self._mentions for name in self._names(day_name))

    def is_entered(self, act: OldAct, day_name: PartitionName) -> bool:
        """Whether the act rewrote the day, or a slice of it."""
        return any(name in act.entered for name in self._names(day_name))

    def making_after(self, day_name: PartitionName, stamp: int) -> Making | None:
        """What the day as a whole was made from after that act, where all of it was made from the same."""
        day, [whole, *slices] = day_name.day, [self._entry_after(name, stamp) for name in self._names(day_name)]
        candidates = [whole] if whole else []
        known = [entry for entry in slices if entry]
        if known and len(known) == len(slices) and _agree(known):
            candidates.append(max(known, key=lambda entry: entry.checked_at))
        if not candidates:
            return None
        makings = self._old.makings
        return makings.find(max(candidates, key=lambda entry: (makings.is_fresh(entry, day), entry.checked_at)), day)

    def _names(self, day_name: PartitionName) -> list[OldName]:
        """The day, and its slices."""
        count = self._old.key_slices
        slices = [OldName(day_name, f"{number}/{count}") for number in range(count)] if count > 1 else []
        return [OldName(day_name), *slices]

    def _entry_after(self, name: OldName, stamp: int) -> OldEntry | None:
        """What the next act that mentions the name found, or the ledger of now."""
        stamps = self._mentions.get(name, [])
        place = bisect_right(stamps, stamp)
        if place < len(stamps):
            return self._old.history.acts[stamps[place]].before.get(name)
        return None if name.partition.day in self._broken_days else self._old.ledger.entries.get(name)


def _agree(entries: Iterable[OldEntry]) -> bool:
    return len({(entry.version, *sorted(entry.inputs.items())) for entry in entries}) == 1


class _Writer:
    """Writes the commits, one after the other."""

    def __init__(self, old: OldTable, log: str, now: datetime) -> None:
        self._old, self._log = old, log
        published = old.folder.published()
        self._published_days = Days.of(name.day for name in published) | old.folder.days()
        self._states = _find_states(old, published)
        self._days = _Days(old, published)
        self._steps = self._find_steps()
        self._first_ns = min(self._steps, default=int(now.timestamp() * 10**6) * 1000) - 1000
        self._seen: dict[tuple[PartitionName, str], Entry] = {}
        """The entries that a partition had, by the identity of its file."""
        self._causes: dict[tuple[PartitionName, str], OldAct] = {}
        """The act that took a partition away from that identity."""
        self._result = Takeover()

    def write(self) -> Takeover:
        self._write_base()
        for stamp in sorted(self._steps):
            act = self._old.history.acts.get(stamp)
            if act is None:
                self._write_strangers(self._steps[stamp], stamp)
                continue
            self._write_act(stamp, act, self._steps[stamp])
            strangers = [step for step in self._steps[stamp] if _is_of_stranger(step, stamp, act)]
            self._write_strangers(strangers, stamp + 1)
        return self._result

    def _find_steps(self) -> dict[int, list[Step]]:
        """What was changed, by the stamp of the act.

        An act that noted a partition and did not come to replace it, as it was killed or refused, changed nothing.
        """
        steps: dict[int, list[Step]] = {}
        for name, states in self._states.items():
            for position, kept in enumerate(self._old.history.kept.get(name, ())):
                before, after = states[position], states[position + 1]
                if _identity_of(before) != _identity_of(after):
                    steps.setdefault(kept.stamp, []).append(Step(name, before, after))
        return steps

    def _write_base(self) -> None:
        """Take over what lay there before the oldest act."""
        after: dict[PartitionName, Entry] = {}
        for name, states in self._states.items():
            if states[0]:
                after[name] = self._entry(name, states[0], touched=0)
        unfollowed = self._unfollowed_by_base()
        for day in unfollowed - Days.of(name.day for name in after):
            # Also of the days of which nothing was there, or nothing is left.
            after[self._gone_name(day)] = Entry(0, 1, 0, None)
        if self._old.folder.keys:
            after |= self._base_entries_of_days({name.day for name in after})
        if after:
            self._commit("adopt", UPGRADE, self._first_ns, after, unfollowed=unfollowed)

    def _unfollowed_by_base(self) -> Days:
        """The days that nobody followed and no other commit holds."""
        days = [self._published_days if each is None else each for each in self._notices_without_commit()]
        return Days.union(days)

    def _notices_without_commit(self) -> list[Days | None]:
        acts = self._old.history.acts
        has_commit = [stamp for stamp in self._steps if stamp in acts]
        return [days for stamp, days in self._old.notices.items() if days is None or stamp not in has_commit]

    def _gone_name(self, day: date) -> PartitionName:
        folder = self._old.folder
        return PartitionName.of(folder.day_column, day, dict.fromkeys(folder.keys, NO_VALUE))

    def _base_entries_of_days(self, days_with_files: set[date]) -> dict[PartitionName, Entry]:
        entries: dict[PartitionName, Entry] = {}
        for day in days_with_files.union(self._published_days):
            name = self._old.folder.day_name(day)
            making = self._days.making_after(name, 0)
            # A day that an act of the history loaded first was not there yet.
            if day in days_with_files or making or not self._days.is_mentioned(name):
                entries[name] = Entry(0, 1, 0, making)
        return entries

    def _write_act(self, stamp: int, act: OldAct, steps: Iterable[Step]) -> None:
        number = self._next_number
        after: dict[PartitionName, Entry] = {}
        undone: Counter[str] = Counter()
        for step in steps:
            if _is_of_stranger(step, stamp, act):
                # The file that the act brought is gone.
                after[step.name] = Entry(number, number, number, None, number)
            else:
                after[step.name] = self._entry(step.name, step.after, touched=number, is_restored=act.is_undo)
            if act.is_undo:
                undone.update(self._requests_that_left(step))
            self._causes[step.name, _identity_of(step.before)] = act
        if self._old.folder.keys:
            after |= self._entries_of_days(stamp, act, {name.day_name for name in after})
        undoes = undone.most_common(1)[0][0] if undone else ""
        notice = self._old.notices.get(stamp)
        self._commit(
            "undo" if act.is_undo else "load",
            act.run,
            stamp,
            after,
            requests=act.requests,
            undoes=undoes,
            unfollowed=notice or Days(),
        )

    def _requests_that_left(self, step: Step) -> list[str]:
        """The requests that had taken the partition away from what the step puts back."""
        cause = self._causes.get((step.name, _identity_of(step.after)), OldAct())
        return [request for request, days in cause.requests.items() if step.name.day in days]

    def _entries_of_days(self, stamp: int, act: OldAct, changed: set[PartitionName]) -> dict[PartitionName, Entry]:
        number = self._next_number
        entries: dict[PartitionName, Entry] = {}
        entered = {name.partition for name in act.entered if name.partition.is_of_day}
        for name in changed.union(entered):
            before = entry = self._result.entries.get(name, Entry(0, 0, 0, None))
            if name in changed:
                entry = replace(entry, changed=number)
            making = self._days.making_after(name, stamp)
            # While only some slices of a day are rewritten, it is not said of the day.
            if self._days.is_entered(act, name) and (making or act.is_undo):
                entry = replace(entry, touched=number, making=making)
            elif act.is_undo:
                entry = replace(entry, making=making)
            if entry != before or name in changed:
                entries[name] = entry
        return entries

    def _write_strangers(self, steps: Iterable[Step], published_ns: int) -> None:
        """Take over what nobody knows the act of."""
        after: dict[PartitionName, Entry] = {}
        for step in steps:
            touched = self._result.entries[step.name].touched if step.name in self._result.entries else 0
            after[step.name] = self._entry(step.name, step.after, touched=touched)
        if self._old.folder.keys:
            for name in {name.day_name for name in after}:
                before = self._result.entries.get(name, Entry(0, 0, 0, None))
                after[name] = replace(before, changed=self._next_number)
        if after:
            self._commit("adopt", UPGRADE, published_ns, after, unfollowed=Days())

    def _entry(self, name: PartitionName, file: OldFile | None, *, touched: int, is_restored: bool = False) -> Entry:
        """The entry of a partition that the next commit changes."""
        number, place = self._next_number, (name, _identity_of(file))
        entry = self._entry_of_file(name, file, number, touched) if file else Entry(0, number, touched, None, number)
        if is_restored:
            earlier = self._seen.get(place)
            # Nothing was there before the first act that is kept.
            unknown = entry.origin if file else 0
            entry = replace(entry, origin=earlier.origin if earlier else unknown)
        self._seen[place] = entry
        return entry

    def _entry_of_file(self, name: PartitionName, file: OldFile, number: int, touched: int) -> Entry:
        self._result.files[Path(version_path(self._old.folder, name, number))] = file.path
        known = file.entry
        return Entry(
            version=number,
            changed=number,
            touched=touched,
            making=self._old.makings.find(known, name.day) if known else None,
            origin=number,
            rows=known.rows if known else 0,
            bytes=file.path.stat().st_size,
            content=known.content if known else "",
        )

    @property
    def _next_number(self) -> int:
        return len(self._result.commits) + 1

    def _commit(
        self,
        act: Act,
        run: str,
        published_ns: int,
        after: Mapping[PartitionName, Entry],
        *,
        requests: Mapping[str, Days] | None = None,
        undoes: str = "",
        unfollowed: Days,
    ) -> None:
        """Add a commit; of its days, those in ``unfollowed`` are still to be followed."""
        folder, ledger, entries = self._old.folder, self._old.ledger, self._result.entries
        commit = Commit(
            point=Point(self._log, self._next_number),
            table=folder.table,
            act=act,
            run=run,
            published_ns=published_ns,
            day_column=folder.day_column,
            keys=folder.keys,
            after=after,
            before={name: entries[name] for name in after if name in entries},
            requests=requests or {},
            columns=ledger.columns,
            key_types=ledger.keys,
            undoes=undoes,
        )
        self._result.commits.append(replace(commit, no_cascade_days=commit.changed_days() - unfollowed))
        entries.update(after)


def _identity_of(file: OldFile | None) -> str:
    return file.identity if file else ""


def _is_of_stranger(step: Step, stamp: int, act: OldAct) -> bool:
    """Whether the file after a step is not the one that the act wrote: its time would be the stamp."""
    return step.after is not None and not act.is_undo and not step.after.identity.startswith(f"{stamp}-")
