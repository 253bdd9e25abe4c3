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
TYPE_NAMES = {
    "integer": "an integer",
    "number": "a number",
    "text": "a text",
    "boolean": "a boolean",
    "date": "a date",
}
LARGEST_INTEGER = 2**63
"""The first integer that a BIGINT cannot hold."""


class Parameter(BaseModel):
    """One parameter as ``table.toml`` declares it; its default keeps the bounds that it sets."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: Literal["integer", "number", "text", "boolean", "date"] = Field(
        description="`integer`, `number`, `text`, `boolean` or `date`"
    )
    default: Value = Field(description="the value where a request sets none")
    min: int | float | date | None = Field(None, description="least value of an integer, a number or a date")
    max: int | float | date | None = Field(None, description="greatest value of an integer, a number or a date")
    choices: list[Value] = Field([], description="the only values")

    @model_validator(mode="after")
    def _default_is_valid(self) -> Self:
        for bound in (self.min, self.max):
            if bound is not None and (self.type not in ("integer", "number", "date") or not self._has_type(bound)):
                raise ValueError(f"the bound {bound!r} is not {TYPE_NAMES[self.type]}; write one or remove it")
        fault = self._describe_fault(self.default)
        if fault:
            raise ValueError(f"the default {fault}")
        return self

    def parse(self, value: object, *, name: str) -> Value:
        """The value that a request sets; raises ``RequestError`` with the type or bound that it breaks."""
        if self.type == "date" and isinstance(value, str):
            value = parse_day(value, field=f"the parameter '{name}'")
        fault = self._describe_fault(value)
        if fault:
            raise RequestError(f"the parameter '{name}' {fault}")
        return value  # type: ignore[return-value]  # _describe_fault has looked at its type

    def _describe_fault(self, value: Any) -> str | None:
        shown = shorten(repr(str(value) if isinstance(value, date) else value))
        if not self._has_type(value):
            return f"{shown} is not {TYPE_NAMES[self.type]}; write one"
        if self.choices and value not in self.choices:
            return f"{shown} is none of {', '.join(map(str, self.choices))}; write one of them"
        if self.min is not None and value < self.min:
            return f"{shown} is less than {self.min}; write {self.min} or more"
        if self.max is not None and value > self.max:
            return f"{shown} is more than {self.max}; write {self.max} or less"
        return None

    def _has_type(self, value: object) -> bool:
        if isinstance(value, bool):  # in Python an int, too
            return self.type == "boolean"
        if isinstance(value, int) and not -LARGEST_INTEGER <= value < LARGEST_INTEGER:
            return False
        if isinstance(value, float) and not isfinite(value):
            # NaN is neither less nor more than any bound, so it would pass them all.
            return False
        return isinstance(value, PYTHON_TYPES[self.type])


def parse_parameters(values: Mapping[str, Any], declared: Mapping[str, Parameter], *, table: str) -> dict[str, Value]:
    """The values that a request sets, parsed; raises ``RequestError`` for one that ``table`` does not declare."""
    for name in values:
        if name not in declared:
            names = ", ".join(declared) or "none"
            raise RequestError(f"'{table}' has no parameter {shorten(repr(name))}; it declares {names}")
    return {name: declared[name].parse(value, name=name) for name, value in sorted(values.items())}


def with_defaults(values: Mapping[str, Any], declared: Mapping[str, Parameter]) -> dict[str, Value]:
    """The value of every parameter declared: the one set, or its default."""
    complete: dict[str, Value] = {}
    for name, parameter in sorted(declared.items()):
        # Parsed once more, as a date that came through JSON is a text.
        complete[name] = parameter.parse(values.get(name, parameter.default), name=name)
    return complete
