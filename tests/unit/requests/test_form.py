"""The form: what is filled in is asked for, nothing filled in is what the clock does, and half of it is a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from reloads.errors import RequestError
from reloads.requests.form import is_filled_in, read_form

EMPTY: dict[str, Any] = {
    "table": None,
    "start_date": None,
    "end_date": None,
    "reason": None,
    "only": "all",
    "keys": {},
    "parameters": {},
    "cascade": True,
    "mode": None,
}
FILLED_IN = {"table": "sales", "start_date": "2025-01-01", "end_date": "2025-01-03"}


@pytest.mark.parametrize("form", [EMPTY, {}, EMPTY | {"reason": "", "keys": None, "mode": ""}])
def test_a_form_with_nothing_filled_in_does_what_the_clock_does(form: dict[str, Any]) -> None:
    assert read_form(form) is None
    assert not is_filled_in(form)


@pytest.mark.parametrize("mode", [None, "", "custom"])
def test_a_table_and_days_are_asked_for_whatever_a_script_says_besides(mode: str | None) -> None:
    fields = read_form(EMPTY | FILLED_IN | {"mode": mode})
    assert fields == {name: value for name, value in (EMPTY | FILLED_IN).items() if name != "mode"}


def test_a_script_that_asks_for_the_daily_load_gets_it() -> None:
    assert read_form(EMPTY | {"mode": "daily"}) is None


def test_the_form_of_one_table_names_what_was_filled_in_besides() -> None:
    with pytest.raises(RequestError, match='the form has no first day, but reason is "late"'):
        read_form({"start_date": None, "reason": "late", "only": "all", "cascade": True, "table": "sales"})


REFUSED = {
    "days without a table": (
        {"start_date": "2025-01-01"},
        'the form has no table, but start_date is "2025-01-01"; fill in a table and a first day',
    ),
    "a last day alone": ({"end_date": "2025-01-01"}, "the form has no table"),
    "a table without days": ({"table": "sales"}, 'the form has no first day, but table is "sales"'),
    "a reason alone": ({"reason": "late"}, 'the form has no table, but reason is "late"'),
    "another choice alone": ({"only": "stale"}, 'the form has no table, but only is "stale"'),
    "no cascade alone": ({"cascade": False}, "the form has no table, but cascade is false"),
    "custom with nothing": ({"mode": "custom"}, 'the form has no table, but mode is "custom"'),
    "daily with a table": (FILLED_IN | {"mode": "daily"}, "mode daily asks for yesterday, but table is"),
    "another mode": ({"mode": "weekly"}, 'mode "weekly" is not one of daily, custom; leave it empty'),
}


@pytest.mark.parametrize(("fields", "sentence"), REFUSED.values(), ids=REFUSED)
def test_a_form_that_says_no_clear_thing_is_a_sentence(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_form(EMPTY | fields)
    assert sentence in str(caught.value)
