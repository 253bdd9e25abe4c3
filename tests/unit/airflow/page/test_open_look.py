"""A look at the open requests: anew each time, unless it takes long."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from reloads.airflow.page import open_look
from reloads.airflow.page.open_look import PAUSE_SHARE, OpenLook
from reloads.requests.record_cache import RecordCache
from reloads.tables.catalog import Catalog
from tests.support.chain import NOW, Chain

Read = Callable[..., set[str]]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock shows next, again and again the last one."""
    times = [0.0]
    monkeypatch.setattr(open_look, "monotonic", lambda: times.pop(0) if len(times) > 1 else times[0])
    return times


@pytest.fixture
def read(chain: Chain) -> Read:
    """The ids that one look after another finds."""
    look, records, catalog = OpenLook(), RecordCache(), Catalog.load(chain.settings.tables)

    def ids(*paused: str) -> set[str]:
        return set(look.read(chain.settings, catalog, records, now=NOW, paused=paused))

    return ids


def test_a_quick_look_is_made_anew_each_time(chain: Chain, read: Read, clock: list[float]) -> None:
    first = chain.ask("a", "2025-01-01").id
    assert read() == {first}
    second = chain.ask("a", "2025-01-02", at=NOW + timedelta(seconds=1)).id
    assert read() == {first, second}
    assert clock == [0.0]


def test_a_look_that_took_long_serves_for_a_while(chain: Chain, read: Read, clock: list[float]) -> None:
    first = chain.ask("a", "2025-01-01").id
    clock[:] = [0.0, 3.0, 3.0]
    assert read() == {first}
    second = chain.ask("a", "2025-01-02", at=NOW + timedelta(seconds=1)).id
    clock[:] = [3.0 + 3.0 * PAUSE_SHARE - 0.1]
    assert read() == {first}
    assert read("a") == {first, second}, "another question is another look"
    clock[:] = [100.0]
    assert read() == {first, second}
