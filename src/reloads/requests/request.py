"""A reload request: which days of which table shall be rewritten, and why.

This module is the one place that knows the rules of a request. The drop folder, the command line, the form in the
Airflow UI and foreign asset events all go through it.
"""

from __future__ import annotations

import json
from datetime import date
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from reloads.days import DateRange, Days, parse_day
from reloads.errors import RequestError, rule_of, shorten
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.parameters import parse_parameters

MAX_KEY_VALUES = 1000
MAX_COMPARED = 80
"""Characters of an unknown field that are compared with the known ones: a name may be a megabyte."""


def _parse_day(value: object, info: ValidationInfo) -> date:
    return value if type(value) is date else parse_day(value, field=info.field_name or "day")


def _parse_days(value: object, info: ValidationInfo) -> Days:
    if isinstance(value, Days):
        return value
    if not isinstance(value, list | tuple):
        shown = show(value)
        raise RequestError(f"{info.field_name} {shown} is not a list; write a list of days like ['2013-01-05']")
    return Days.of(_parse_day(item, info) for item in value)


def _list_days(days: Days) -> list[str]:
    return [str(day) for day in days]


def _parse_table(value: object) -> str | tuple[str, ...]:
    # Here and not by pydantic, which describes every bad name of a list before anybody reads the first.
    if isinstance(value, str):
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise RequestError(f"table {show(value)} is not a name; write a table's name or a list of names")
    return tuple(dict.fromkeys(value))


def _parse_keys(value: object) -> object:
    if not isinstance(value, dict) or not all(isinstance(values, list | tuple) for values in value.values()):
        raise RequestError(f'keys {show(value)} is not an object of lists; write it like {{"origin": ["EWR", "JFK"]}}')
    keys: dict[str, tuple[str, ...]] = {}
    for name, values in value.items():
        texts = dict.fromkeys(_parse_key_value(name, item) for item in values)
        if not 0 < len(texts) <= MAX_KEY_VALUES:
            rule = f"write one to {MAX_KEY_VALUES} values, or leave the key out for all"
            raise RequestError(f"keys names {len(texts)} values of {show(name)}; {rule}")
        keys[name] = tuple(texts)
    return keys


def _parse_key_value(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise RequestError(f'keys: {show(value)} is not a value of {show(name)}; write a text like "EWR" or a number')
    return str(value)


TableNames = Annotated[str | tuple[str, ...], BeforeValidator(_parse_table)]
Day = Annotated[date, BeforeValidator(_parse_day)]
ListOfDays = Annotated[
    Days,
    BeforeValidator(_parse_days),
    PlainSerializer(_list_days, when_used="json"),
    WithJsonSchema({"type": "array", "items": {"type": "string", "format": "date"}, "title": "Exclude Dates"}),
]
Only = Literal["all", "missing", "stale"]
Keys = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_parse_keys)]
Text = Annotated[str, StringConstraints(max_length=1000)]


class ReloadRequest(BaseModel):
    """One request, frozen: an instance that exists names a table and asks for at least one day.

    Both dates are included; ``end_date`` defaults to ``start_date``. Whether the tables exist, and have these keys and
    parameters, is for ``check_request`` to say.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True, title="Reload request"
    )

    table: TableNames = Field(description="name of a table, or a list of names")
    start_date: Day = Field(description="first day, YYYY-MM-DD; no other form is accepted")
    end_date: Day = Field(
        default_factory=lambda data: data["start_date"], description="last day, included; default: `start_date`"
    )
    exclude_dates: ListOfDays = Field(
        Days(), description="days inside the range that stay as they are", json_schema_extra={"default": []}
    )
    keys: Keys = Field(
        {},
        description='for a table with keys: the values to rewrite, like `{"origin": ["EWR"]}`; the other partitions '
        "of the day keep their bytes; default: all",
    )
    only: Only = Field(
        "all",
        description="only the partitions that are missing, or that are stale: `missing`, `stale` or `all`; "
        "default: `all`",
    )
    cascade: bool = Field(True, description="whether downstream tables follow; default: `true`")
    parameters: dict[str, Any] = Field({}, description="values for the parameters that the table declares")
    keep_parameters: bool = Field(
        False,
        description="each partition keeps the parameters that it was written with; not together with `parameters`; "
        "default: `false`",
    )
    reason: Text | None = Field(None, description="kept with the request and shown everywhere")
    requested_by: Text | None = Field(None, description="kept with the request and shown everywhere")

    @model_validator(mode="after")
    def _check_tables_and_days(self) -> Self:
        if not self.tables:
            raise RequestError("table [] names no table; write at least one name")
        if self.keep_parameters and self.parameters:
            raise RequestError("keep_parameters is true but parameters names some; leave one of the two out")
        # By arithmetic on ranges: nobody has said yet that a range of a million days is too long.
        whole = Days.between(self.start_date, self.end_date)
        outside = self.exclude_dates - whole
        if outside:
            raise RequestError(
                f"exclude_dates {shorten(str(outside))} is outside {whole}; remove it or widen the range"
            )
        if not self.days:
            raise RequestError(f"exclude_dates leaves no day of {whole}; exclude fewer days")
        return self

    @property
    def tables(self) -> tuple[str, ...]:
        """The names asked for, each once, in the order given."""
        return (self.table,) if isinstance(self.table, str) else self.table

    @property
    def days(self) -> Days:
        """The days asked for; never empty."""
        return Days.between(self.start_date, self.end_date) - self.exclude_dates


def parse_request(fields: object) -> ReloadRequest:
    """The request that ``fields`` (a parsed JSON object) describes; raises ``RequestError`` with one sentence."""
    if not isinstance(fields, dict):
        raise RequestError(f"{show(fields)} is not a request; write an object like {EXAMPLE}")
    for name in fields:
        if name not in ReloadRequest.model_fields:
            known = ", ".join(ReloadRequest.model_fields)
            meant = get_close_matches(str(name)[:MAX_COMPARED], ReloadRequest.model_fields, n=1)
            cure = f"write {show(meant[0])}; " if meant else ""
            raise RequestError(f"unknown field {show(name)}; {cure}known are {known}")
    try:
        return ReloadRequest.model_validate(fields)
    except ValidationError as error:
        raise RequestError(_describe_fault(error)) from error


def check_request(request: ReloadRequest, *, catalog: Catalog, today: date, is_repeated: bool = False) -> None:
    """Raise ``RequestError`` unless every table can be reloaded for every day of the request.

    ``today`` is the newest day that may be asked for. A request that repeats one that was accepted may ask for as many
    days as that one: a cascade is as long as what changed.
    """
    day_count = len(DateRange(request.start_date, request.end_date))
    for name in request.tables:
        settings = catalog[name].settings
        _check_keys_and_parameters(request, catalog[name])
        if request.end_date > today:
            raise RequestError(f"end_date {request.end_date} is in the future; the last day to ask for is {today}")
        if request.start_date < settings.first_day:
            raise RequestError(
                f"start_date {request.start_date} is before the first day of '{name}'; begin at {settings.first_day}"
            )
        limit = settings.max_days_per_request
        if day_count > limit and not is_repeated:
            raise RequestError(
                f"{day_count} days are more than the {limit} that '{name}' allows; ask for shorter ranges"
            )


def _check_keys_and_parameters(request: ReloadRequest, table: Table) -> None:
    """Raise ``RequestError`` unless the table has the keys and parameters that the request names."""
    keys = table.settings.keys
    for name in request.keys:
        if name not in keys:
            cure = f"its keys are {', '.join(keys)}" if keys else "it has none, leave keys out"
            raise RequestError(f"'{table.name}' has no key {show(name)}; {cure}")
    parse_parameters(request.parameters, table.settings.parameters, table=table.name)


EXAMPLE = '{"table": "flights", "start_date": "2013-01-01", "end_date": "2013-01-31"}'


def _describe_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    field = show(first["loc"][0])
    if first["type"] == "missing":
        return f"the field {field} is missing; write an object like {EXAMPLE}"
    return f"{first['loc'][0]} {show(first['input'])} is not valid: {rule_of(first['msg'])}"


def show(value: object) -> str:
    """A value as JSON, cut to a length that fits into a sentence; never with a raw control character."""
    return shorten(json.dumps(value, ensure_ascii=True, default=str))
