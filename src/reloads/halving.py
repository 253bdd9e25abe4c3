"""Halving: where one bad item fails a whole statement, find it in a few attempts and keep what the others give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def attempt_by_halves(
    items: Sequence[Item],
    attempt: Callable[[Sequence[Item]], Result],
    *,
    retry_on: type[Exception],
    give_up: Callable[[Item, Exception], Result],
) -> list[Result]:
    """What ``attempt`` gives for all items together or, where it fails, for ever smaller halves of them, in order.

    For an item that fails alone the result is that of ``give_up``. ``k`` bad items among ``n`` cost about
    ``2 k log2(n)`` attempts. Without items nothing is attempted.
    """
    if not items:
        return []
    try:
        return [attempt(items)]
    except retry_on as error:
        if len(items) == 1:
            return [give_up(items[0], error)]
    # Outside the except clause, so that errors of the halves do not chain to this one.
    half = len(items) // 2
    results: list[Result] = []
    for part in (items[:half], items[half:]):
        results += attempt_by_halves(part, attempt, retry_on=retry_on, give_up=give_up)
    return results
