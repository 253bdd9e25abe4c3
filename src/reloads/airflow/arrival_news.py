"""Which news of raw files to tell, and when: a policy without I/O, told what lies there and what the time is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from reloads.airflow.attention import REST_MARGIN_SECONDS, SHORTEST_GAP_SECONDS

LONGEST_DELAY_SECONDS = 10.0
"""How long news that could be told wait for the rest of a burst, at most."""


class FileSignature(NamedTuple):
    """What tells a file from the one that had its path before, and from itself while it was shorter."""

    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    tag: str = ""
    """Of an object in a store."""


class Group(NamedTuple):
    """The files of one source for one day, or for the month or year that the day is in."""

    source: str
    pattern: str


@dataclass(frozen=True)
class GroupSight:
    """What lies there of a group, by path below the source folder."""

    files: Mapping[str, FileSignature] = field(default_factory=dict)
    markers: Mapping[str, FileSignature] = field(default_factory=dict)
    """The files that say that the sender is through with the others."""


class News(NamedTuple):
    """A file that came, changed or went."""

    source: str
    path: str


@dataclass
class _Path:
    seen: FileSignature | None = None
    told: FileSignature | None = None
    is_news: bool = False
    due_at: float = 0.0

    def forget_removal(self) -> None:
        """Go back to what was told, because a file below a folder that is away was not removed."""
        if self.is_news and self.seen is None:
            self.seen, self.is_news = self.told, False


@dataclass
class ArrivalNews:
    """Decides which news to tell; a policy without I/O.

    A path that is new, changed or gone is news once it has rested. A marker is news at once, and so are the files that
    it speaks for. What is there when a group is looked at for the first time is news too, because it may have come
    while nobody looked. News are told together when nothing watched is still resting, but no later than
    ``LONGEST_DELAY_SECONDS`` after the first of them could have been. While a group cannot be looked at nothing is told
    of it. Once it can, what went meanwhile is news, and so is all that lies there: somebody may wait for it.
    """

    stable_seconds: float
    _paths: dict[Group, dict[str, _Path]] = field(default_factory=dict)
    _held: set[Group] = field(default_factory=set)

    def look(self, groups: Mapping[Group, GroupSight | None], *, began: float, now: float, wall_ns: int) -> list[News]:
        """The news to tell now, sorted.

        ``began`` and ``now`` say when the look began and ended, by the same clock; ``wall_ns`` is the time of day by
        which the files have their times.
        """
        held_before, self._held = self._held, {group for group, sight in groups.items() if sight is None}
        for group in self._paths.keys() - groups.keys():
            self._stop_watching(group)
        for group, sight in groups.items():
            if sight is None:
                for path in self._paths.get(group, {}).values():
                    path.forget_removal()
            else:
                is_back = group in held_before
                self._compare(group, sight, is_back=is_back, began=began, now=now, wall_ns=wall_ns)
        return self._tell(began)

    def seconds_to_next_look(self, *, now: float) -> float:
        """How long nothing can become due unless something is heard; infinite where nothing rests, and never zero."""
        dues = [path.due_at for _, _, path in self._pending()]
        if not dues:
            return float("inf")
        return max(SHORTEST_GAP_SECONDS, min(max(dues), min(dues) + LONGEST_DELAY_SECONDS) - now)

    def _stop_watching(self, group: Group) -> None:
        """Forget a group whose days nobody waits for any more, but for its news."""
        news = {name: path for name, path in self._paths[group].items() if path.is_news}
        if news:
            self._paths[group] = news
        else:
            del self._paths[group]

    def _compare(
        self, group: Group, sight: GroupSight, *, is_back: bool, began: float, now: float, wall_ns: int
    ) -> None:
        is_first = group not in self._paths or is_back
        paths = self._paths.setdefault(group, {})
        rested_at = now + self.stable_seconds + REST_MARGIN_SECONDS
        has_new_marker = False
        signatures = {**sight.files, **sight.markers}
        for name in {**paths, **signatures}:
            path, signature = paths.setdefault(name, _Path()), signatures.get(name)
            if path.seen == signature and not (is_back and signature):
                continue
            path.seen, path.is_news = signature, True
            has_new_marker = has_new_marker or name in sight.markers
            has_rested = is_first and signature is not None and self._has_rested(signature, wall_ns)
            path.due_at = began if has_rested else rested_at
        if has_new_marker:
            for path in paths.values():
                path.due_at = min(path.due_at, began)

    def _has_rested(self, signature: FileSignature, wall_ns: int) -> bool:
        return wall_ns - signature.changed_ns >= (self.stable_seconds + REST_MARGIN_SECONDS) * 1e9

    def _tell(self, began: float) -> list[News]:
        pending = list(self._pending())
        due = [(group, name, path) for group, name, path in pending if path.due_at <= began]
        if not due:
            return []
        first_due_at = min(path.due_at for _, _, path in due)
        if len(due) < len(pending) and began < first_due_at + LONGEST_DELAY_SECONDS:
            return []
        for group, name, path in due:
            path.told, path.is_news = path.seen, False
            if path.seen is None:
                del self._paths[group][name]
        return sorted(News(group.source, name) for group, name, _ in due)

    def _pending(self) -> Iterator[tuple[Group, str, _Path]]:
        for group, paths in self._paths.items():
            if group not in self._held:
                for name, path in paths.items():
                    if path.is_news:
                        yield group, name, path
