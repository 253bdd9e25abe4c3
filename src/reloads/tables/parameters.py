"""Parameters: values that a table's query reads by ``getvariable`` and that a request may set.

[parameters.events_per_partition]      in table.toml
type = "integer"
default = 1000
min = 1
max = 1_000_000
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from math import isfinite
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reloads.days import parse_day
from reloads.errors import RequestError, shorten

Value = bool | int | float | str | date
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "text": (str,),
    "boolean": (bool,),
    "date": (date,),
}
LARGEST_INTEGER = 2**63


class Parameter(BaseModel):
    """One parameter as ``table.toml`` declares it; its default keeps the bounds that it sets."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: Literal["integer", "number", "text", "boolean", "date"]
    default: Value
    min: int | float | date | None = Field(None, description="least value")
    max: int | float | date | None = Field(None, description="greatest value")
    choices: list[Value] = Field([], description="the only values")

    @model_validator(mode="after")
    def _default_is_valid(self) -> Self:
        for bound in (self.min, self.max):
            if bound is not None and (self.type not in ("integer", "number", "date") or not self._has_type(bound)):
                raise ValueError(f"the bound {bound!r} is no {self.type}; write one or remove it")
        if problem := self._problem(self.default):
            raise ValueError(f"the default {problem}")
        return self

    def parse(self, value: object, *, name: str) -> Value:
        """The value that a request gives; raises ``RequestError`` with the type or bound that it breaks."""
        if self.type == "date" and isinstance(value, str):
            value = parse_day(value, field=f"the parameter '{name}'")
        if problem := self._problem(value):
            raise RequestError(f"the parameter '{name}' {problem}")
        return value  # type: ignore[return-value]  # _problem has looked at its type

    def _problem(self, value: Any) -> str | None:
        shown = shorten(repr(str(value) if isinstance(value, date) else value))
        if not self._has_type(value):
            return f"{shown} is no {self.type}; write one"
        if self.choices and value not in self.choices:
            return f"{shown} is none of {', '.join(map(str, self.choices))}; write one of them"
        if self.min is not None and value < self.min:
            return f"{shown} is less than {self.min}; write {self.min} or more"
        if self.max is not None and value > self.max:
            return f"{shown} is more than {self.max}; write {self.max} or less"
        return None

    def _has_type(self, value: object) -> bool:
        if isinstance(value, bool):
            return self.type == "boolean"
        if isinstance(value, int) and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            return False
        if isinstance(value, float) and not isfinite(value):
            # Not a number is neither less nor more than any bound.
            return False
        return isinstance(value, PYTHON_TYPES[self.type])


def parse_parameters(given: Mapping[str, Any], declared: Mapping[str, Parameter], *, table: str) -> dict[str, Value]:
    """The values of the parameters given; raises ``RequestError`` for one that ``table`` does not declare."""
    for name in given:
        if name not in declared:
            known = ", ".join(declared) or "none"
            raise RequestError(f"'{table}' has no parameter {shorten(repr(name))}; it declares {known}")
    return {name: declared[name].parse(value, name=name) for name, value in sorted(given.items())}


def with_defaults(given: Mapping[str, Any], declared: Mapping[str, Parameter]) -> dict[str, Value]:
    """The value of every parameter declared: the one given, or its default."""
    values = {name: given.get(name, parameter.default) for name, parameter in sorted(declared.items())}
    # What came through JSON is a text where the query reads a date.
    return {name: declared[name].parse(value, name=name) for name, value in values.items()}
