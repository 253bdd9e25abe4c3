"""A fault that a verification finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

REMOVE = "remove it with --repair"


@dataclass(frozen=True)
class Fault:
    """Something that does not agree."""

    what: str
    cure: str
    mend: Callable[[], object] | None = None
    """Mends it and loses nothing; None where only a person can."""

    @property
    def sentence(self) -> str:
        """What does not agree, and the cure."""
        return f"{self.what}; {self.cure}"
