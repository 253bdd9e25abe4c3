"""A batch: what planning hands to rewriting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reloads.days import Days
from reloads.partition_filter import Scope
from reloads.planning.batching import Piece


@dataclass(frozen=True)
class Batch:
    """A piece of a plan, the requests it is rewritten for, each with its days, and how many batches share the machine.

    ``quiet`` are the days that the tables that read this one are not to follow.
    """

    piece: Piece
    requests: Mapping[str, Days]
    of: int
    number: int = 0
    quiet: Days = field(default_factory=Days)

    def to_json(self) -> dict[str, Any]:
        """A small value for XCom; ``label`` is what the UI shows."""
        return {
            "label": label(self.piece),
            "number": self.number,
            "days": self.piece.days.texts(),
            "scope": self.piece.scope.to_json(),
            "parameters": dict(self.piece.parameters),
            "requests": {name: days.texts() for name, days in self.requests.items()},
            "quiet": self.quiet.texts(),
            "of": self.of,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Batch:
        """The inverse of ``to_json``."""
        piece = Piece(Days.parse(value["days"]), Scope.from_json(value["scope"]), value["parameters"])
        requests = {name: Days.parse(texts) for name, texts in value["requests"].items()}
        return cls(piece, requests, value["of"], value["number"], Days.parse(value["quiet"]))


SHOWN_RANGES = 3


def label(piece: Piece) -> str:
    """The days in a few words, and which of their keys."""
    days = piece.days
    shown = ", ".join(days.texts()[:SHOWN_RANGES]) + (", …" if len(days.ranges) > SHOWN_RANGES else "")
    text = shown if len(days) == 1 else f"{shown} ({len(days)} days)"
    return f"{text}, {piece.scope}" if str(piece.scope) else text
