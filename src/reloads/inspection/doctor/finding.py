"""A finding: what one look at a deployment found, in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["good", "warning", "unknown", "wrong"]
"""``unknown`` is what could not be looked at from here. Only what is ``wrong`` keeps the pipeline from its work."""


@dataclass(frozen=True)
class Finding:
    """What was found; the sentence of what is wrong holds the value, the rule and the cure."""

    about: str
    level: Level
    sentence: str


def wrong(about: str, sentence: str) -> Finding:
    """What has to be mended."""
    return Finding(about, "wrong", sentence)


def warning(about: str, sentence: str) -> Finding:
    """What works, and not as well as it might."""
    return Finding(about, "warning", sentence)


def unknown(about: str, sentence: str) -> Finding:
    """What could not be looked at from here."""
    return Finding(about, "unknown", sentence)


def good(about: str, sentence: str) -> Finding:
    """What was tried, and is as it should be."""
    return Finding(about, "good", sentence)
