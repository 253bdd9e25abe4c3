"""The form of a reload, as a person fills it in: what it asks for, if for anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reloads.errors import RequestError
from reloads.requests.request import show

DEFAULTS: Mapping[str, Any] = {"only": "all", "cascade": True}
"""What stands in fields that nobody touched; the others are empty."""

MODES = ("daily", "custom")
"""What a script may say: to do what the clock does, or to ask for the days of the form. The fields say it as well."""


def find_filled_in(form: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that hold something."""
    return {name: value for name, value in form.items() if value not in (None, "", [], {})}


def is_filled_in(form: Mapping[str, Any]) -> bool:
    """Whether somebody filled in a field, or changed one."""
    return any(value != DEFAULTS.get(name) for name, value in find_filled_in(form).items())


def read_form(form: Mapping[str, Any]) -> dict[str, Any] | None:
    """The request that the form asks for; None where it asks for what the clock does. Raises ``RequestError``."""
    mode = form.get("mode") or None
    fields = {name: value for name, value in form.items() if name != "mode"}
    if mode not in (None, *MODES):
        raise RequestError(f"mode {show(mode)} is not one of {', '.join(MODES)}; leave it empty")
    if mode is None and not is_filled_in(fields):
        return None
    if mode == "daily":
        if is_filled_in(fields):
            raise RequestError(f"mode daily asks for yesterday, but {_name_first(fields)}; leave one of the two empty")
        return None
    for name, what in (("table", "no table"), ("start_date", "no first day")):
        if not fields.get(name):
            rule = "fill in a table and a first day, or nothing for what the clock does"
            raise RequestError(f"the form has {what}, but {_name_first(form)}; {rule}")
    return fields


def _name_first(form: Mapping[str, Any]) -> str:
    """The first field that somebody filled in, in a clause."""
    touched = (name for name, value in find_filled_in(form).items() if value != DEFAULTS.get(name))
    name = next(touched)
    return f"{name} is {show(form[name])}"
