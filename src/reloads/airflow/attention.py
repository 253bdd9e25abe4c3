"""When to look and when to ring: policies without I/O, told what lies in the drop folder and what the time is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LONGEST_PAUSE_SECONDS = 600.0
REST_MARGIN_SECONDS = 0.25
"""How much longer than ``stable_seconds`` a file has rested when it is rung for again.

Whoever judges it compares the file's time of change with a clock of its own: a clock that is being set right and the
steps of a file system's clock (10 ms) put the two some hundredths of a second apart. Without the margin a file would be
found a moment too young, and wait for the next ring.
"""
SHORTEST_GAP_SECONDS = 0.05
LONGEST_GAP_SECONDS = 1.0
"""Airflow's triggerer hands events on once a second, so a burst gains nothing by more rings."""


class Signature(NamedTuple):
    """What tells a file from the one that had its name before, and from itself while it was shorter.

    The time of change, not of modification: a copy may bring that along, and the rest of a file is measured by it.
    """

    inode: int
    size: int
    changed_ns: int


@dataclass
class _Sighting:
    signature: Signature
    since: float
    due_at: float
    is_rung: bool = False
    repeats: int = 0


@dataclass
class Attention:
    """Decides which files deserve a ring.

    A file is rung for as soon as its writer closed or renamed it, and again once it has rested for ``stable_seconds``,
    because one that does not parse is left alone until then. A file whose writer is not known to be through is rung for
    once it has rested. Should it still lie there, unchanged, ``rescan_seconds`` later, it is rung for again, and then
    after twice as long each time, up to ten minutes: a ring may get lost, a table may be mended, but a file that cannot
    be read must not ring all the time.
    """

    stable_seconds: float
    rescan_seconds: float
    _sightings: dict[str, _Sighting] = field(default_factory=dict)

    def look(self, files: Mapping[str, Signature], *, finished: Collection[str], now: float) -> list[str]:
        """The files to ring for now, in the order in which they arrived.

        ``finished`` are those whose writer is known to be through. ``now`` is in seconds, and not before ``files`` were
        looked at.
        """
        self._sightings = {name: self._sighting(name, signature, now) for name, signature in files.items()}
        due: list[str] = []
        for name, sighting in self._sightings.items():
            if now >= sighting.due_at or (not sighting.is_rung and name in finished):
                due.append(name)
                self._note_ring(sighting, now)
        return sorted(due, key=lambda name: (files[name].changed_ns, name))

    def seconds_to_next_look(self, *, now: float) -> float:
        """How long nothing can become due unless something is heard; never zero, so that nobody spins."""
        next_due = min((sighting.due_at for sighting in self._sightings.values()), default=now + self.rescan_seconds)
        return max(SHORTEST_GAP_SECONDS, min(next_due - now, self.rescan_seconds))

    def _sighting(self, name: str, signature: Signature, now: float) -> _Sighting:
        before = self._sightings.get(name)
        if before and before.signature == signature:
            return before
        return _Sighting(signature, since=now, due_at=now + self.stable_seconds)

    def _note_ring(self, sighting: _Sighting, now: float) -> None:
        # The exponent is bounded: in some weeks a file that stays is rung for more often than a float can double.
        pause = min(
            self.rescan_seconds * 2 ** min(sighting.repeats, 16), max(LONGEST_PAUSE_SECONDS, self.rescan_seconds)
        )
        has_rested = now >= sighting.since + self.stable_seconds
        rested_at = sighting.since + self.stable_seconds + REST_MARGIN_SECONDS
        if not has_rested and rested_at <= now + pause:
            sighting.due_at = rested_at
        else:
            sighting.due_at = now + pause
            sighting.repeats += 1
        sighting.is_rung = True


@dataclass
class Pace:
    """Decides how long no look follows a look, whatever is heard.

    A lone file is looked at and rung for at once. During a burst the gaps between rings double up to
    ``LONGEST_GAP_SECONDS``, so that thousands of files ring a few times. Looks take at most half of the time.
    """

    _gap: float = SHORTEST_GAP_SECONDS
    _rang_at: float = float("-inf")

    def gap_after_look(self, *, rang: bool, took: float, now: float) -> float:
        """How many seconds the next look waits at least; ``took`` is how long this one lasted, until ``now``."""
        if not rang:
            return max(SHORTEST_GAP_SECONDS, took)
        is_burst = now - self._rang_at <= 2 * LONGEST_GAP_SECONDS
        self._gap = min(2 * self._gap, LONGEST_GAP_SECONDS) if is_burst else 2 * SHORTEST_GAP_SECONDS
        self._rang_at = now
        return max(self._gap, took)
