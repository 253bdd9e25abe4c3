"""When to ring: a policy without I/O, told what lies in the drop folder and what the time is."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LONGEST_PAUSE_SECONDS = 3600.0


class Signature(NamedTuple):
    """What tells a file from the one that had its name before, and from itself while it was shorter."""

    inode: int
    size: int
    modified_ns: int


@dataclass
class _Sighting:
    signature: Signature
    since: float
    rings: int = 0
    again_at: float = 0.0


@dataclass
class Attention:
    """Decides which files are complete and deserve a ring.

    A file is complete once its writer closed or renamed it, or once it has rested for ``stable_seconds``. It is rung
    for once; should it still lie there, unchanged, after ``rescan_seconds``, again, and then after twice as long each
    time, up to an hour: a ring may get lost, but a file that cannot be read must not ring for ever.
    """

    stable_seconds: float
    rescan_seconds: float
    _sightings: dict[str, _Sighting] = field(default_factory=dict)

    def look(self, files: Mapping[str, Signature], *, finished: Collection[str], now: float) -> list[str]:
        """The files to ring for now; ``finished`` are those whose writer is known to be through. ``now`` is in s."""
        self._sightings = {name: self._sighting(name, signature, now) for name, signature in files.items()}
        due: list[str] = []
        for name, sighting in self._sightings.items():
            if not self._is_due(sighting, is_finished=name in finished, now=now):
                continue
            due.append(name)
            # The exponent is bounded: in some weeks a file that stays is rung for more often than a float can double.
            pause = min(
                self.rescan_seconds * 2 ** min(sighting.rings, 16), max(LONGEST_PAUSE_SECONDS, self.rescan_seconds)
            )
            sighting.again_at = now + pause
            sighting.rings += 1
        return due

    def seconds_to_next_look(self, *, now: float) -> float:
        """How long nothing can become due unless something is heard; never zero, so that nobody spins."""
        settling = [s.since + self.stable_seconds for s in self._sightings.values() if not s.rings]
        return max(0.05, min([*settling, now + self.rescan_seconds]) - now)

    def _sighting(self, name: str, signature: Signature, now: float) -> _Sighting:
        before = self._sightings.get(name)
        return before if before and before.signature == signature else _Sighting(signature, now)

    def _is_due(self, sighting: _Sighting, *, is_finished: bool, now: float) -> bool:
        if sighting.rings:
            return now >= sighting.again_at
        return is_finished or now - sighting.since >= self.stable_seconds
