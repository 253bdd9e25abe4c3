"""Halving: every item is attempted, the bad ones alone are given up, and the order stays."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from reloads.halving import attempt_by_halves


@given(items=st.lists(st.integers(), unique=True, max_size=40), data=st.data())
def test_the_bad_items_alone_are_given_up(items: list[int], data: st.DataObject) -> None:
    bad = data.draw(st.sets(st.sampled_from(items))) if items else set()

    def attempt(part: Sequence[int]) -> list[str]:
        if bad & set(part):
            raise ValueError(part)
        return [f"good {item}" for item in part]

    def give_up(item: int, error: Exception) -> list[str]:
        assert error.args == ([item],)
        return [f"bad {item}"]

    results = attempt_by_halves(items, attempt, retry_on=ValueError, give_up=give_up)
    flat = [text for result in results for text in result]
    assert flat == [f"bad {item}" if item in bad else f"good {item}" for item in items]


def test_good_items_are_attempted_once_together() -> None:
    attempts: list[list[int]] = []

    def attempt(part: Sequence[int]) -> int:
        attempts.append(list(part))
        return len(part)

    assert attempt_by_halves([1, 2, 3], attempt, retry_on=ValueError, give_up=lambda _item, _error: 0) == [3]
    assert attempts == [[1, 2, 3]]
