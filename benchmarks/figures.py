"""What a benchmark found: figures, each beside its reference of the same rounds, and what they should be at most."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

MEDIAN = 0.5


@dataclass(frozen=True)
class Figure:
    """What was measured of one thing, a value a round."""

    name: str
    values: tuple[float, ...]
    unit: str = "s"
    """``s`` of wall clock, ``CPU s``, ``MB``, or ``% of a core``."""
    reference: str = ""
    """The figure of the same part beside which this one stands; their rounds are paired where both have as many."""
    quantile: float = MEDIAN
    """Which of the values speaks for all: the median, or 0.95 for what 95 % stay below."""
    most: float | None = None
    """The aim, in the unit."""
    most_ratio: float | None = None
    """The aim, as a multiple of the reference. Where both are given, one of them is enough."""

    @property
    def value(self) -> float:
        """The value that speaks for all."""
        return quantile(self.values, self.quantile)


@dataclass(frozen=True)
class Part:
    """The figures of one benchmark."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = field(default=())
    """Sentences that say what was measured, and where the time goes."""

    def ratios(self, figure: Figure) -> tuple[float, ...]:
        """The figure as multiples of its reference, round by round; empty where it has none."""
        if not figure.reference:
            return ()
        [reference] = [each for each in self.figures if each.name == figure.reference]
        if len(reference.values) == len(figure.values) and figure.quantile == MEDIAN:
            return tuple(value / base for value, base in zip(figure.values, reference.values, strict=True))
        return (figure.value / reference.value,)

    def is_reached(self, figure: Figure) -> bool | None:
        """Whether the figure is what it should be; None where it has no aim."""
        answers: list[bool] = []
        if figure.most is not None:
            answers.append(figure.value <= figure.most)
        if figure.most_ratio is not None:
            answers.append(statistics.median(self.ratios(figure)) <= figure.most_ratio)
        return any(answers) if answers else None


Benchmark = Callable[[int], Part]
"""Measures this many rounds."""


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies, between two of them where it lies between them."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
