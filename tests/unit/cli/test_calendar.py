"""The days of a table in a terminal: a sign each, in the line of its month."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest

from reloads.cli.calendar import SHOWN_MONTHS, SIGNS
from tests.support import calendar_home
from tests.support.chain import NOW, Chain
from tests.support.command_line import call


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table with a day in almost each state."""
    chain = calendar_home.lay_out(tmp_path / "home")
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    return calendar_home.TABLE


def test_each_day_has_the_sign_of_its_state_at_its_place(table: str) -> None:
    lines = call("status", table, width=100, clock=lambda: NOW).lines
    [month] = [line for line in lines if line.startswith("2025-01  ")]
    for day, state in calendar_home.STATE_OF_DAY.items():
        assert month[len("2025-01  ") + date.fromisoformat(day).day - 1] == SIGNS[state]  # type: ignore[index]
    [legend] = [line for line in lines if line.startswith("+ open, ")]
    assert set(legend.split(", ")) == {f"{SIGNS[state]} {state}" for state in calendar_home.STATE_OF_DAY.values()}  # type: ignore[index]


def test_all_signs_differ() -> None:
    assert len(set(SIGNS.values())) == len(SIGNS)


def test_programs_get_the_days_by_state_and_no_signs(table: str) -> None:
    assert not [line for line in call("status", table, clock=lambda: NOW).lines if line.startswith("2025-01  ")]


def test_of_a_long_table_the_last_months_are_drawn_and_the_rest_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = Chain.at(tmp_path / "home")
    chain.define("t", "select day, amount from raw", "daily = true")
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    later = NOW + timedelta(days=1500)
    lines = call("status", "t", width=100, clock=lambda: later).lines
    months = [line[:7] for line in lines if line[:2] == "20" and line[7:9] == "  "]
    yesterday = later - timedelta(days=1)
    assert (len(months), months[-1]) == (SHOWN_MONTHS, f"{yesterday:%Y-%m}")
    all_months = (yesterday.year - 2025) * 12 + yesterday.month
    assert f"{all_months - SHOWN_MONTHS} months before; --json shows all" in lines
