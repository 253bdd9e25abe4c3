"""The clocks of the containers."""

from __future__ import annotations

import clock
import pytest


@pytest.mark.parametrize(
    ("before", "database", "after", "ahead"),
    [
        (1000.0, 1000.5, 1001.0, 0.0),
        (1000.0, 900.0, 1001.0, 100.0),
        (1000.0, 1100.0, 1001.0, -99.0),
        (1000.0, 1000.5, 1060.0, 0.0),
    ],
    ids=["right", "ahead", "behind", "a slow answer says nothing"],
)
def test_a_clock_is_wrong_only_by_what_is_sure(before: float, database: float, after: float, ahead: float) -> None:
    assert clock.seconds_ahead(before, database, after) == ahead
