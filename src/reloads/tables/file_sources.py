"""File sources: where the raw files of a day lie, by ``tables/sources.toml``.

    [flight_files]
    files = "flights/{day}/flights.csv"

A view of ``sources.sql`` reads ``getvariable('flight_files')``: the list of the files of the days of a batch.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from reloads.errors import TableError, one_line, printable, rule_of, shorten
from reloads.tables.file_template import FileTemplate
from reloads.tables.references import lower_ascii

FILE = "sources.toml"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def _parse_template(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError(f'{shorten(repr(value))} is not a text; write one like "flights/{{day}}/*.csv"')  # noqa: TRY004
    try:
        return FileTemplate.parse(value)
    except TableError as error:
        raise ValueError(str(error)) from error


Template = Annotated[FileTemplate, BeforeValidator(_parse_template), PlainSerializer(lambda template: template.text)]


class FileSource(BaseModel):
    """What one section of ``sources.toml`` says; hashable, so that what was found of it can be kept."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)

    files: Template = Field(
        description="a path below `RELOADS_SOURCE` with the date in it, like `flights/{day}/flights.csv` or "
        "`weather/{month}.csv`"
    )
    marker: Template | None = Field(
        None,
        description="a file that the sender writes last, like `flights/{day}/_SUCCESS`; without it the others count as "
        "not there",
    )
    optional: bool = Field(
        False, description="a day without a file has no rows of this source, instead of waiting for one"
    )
    compare: Literal["times", "content"] = Field(
        "times",
        description="how a changed file is known: `content` knows it by its bytes and reads it for that, where the "
        "times of files say nothing",
    )

    def __hash__(self) -> int:
        # By the path alone: a look at years of days asks for it once for each of them.
        return hash(self.files.text)


@dataclass(frozen=True)
class FileSources:
    """The sections of ``sources.toml``: the good ones, and what is wrong with the others."""

    sources: Mapping[str, FileSource] = field(default_factory=dict)
    faults: Mapping[str, TableError] = field(default_factory=dict)
    fault: TableError | None = None
    """What is wrong with the file as a whole."""

    @classmethod
    def load(cls, tables: Path) -> FileSources:
        """Read ``sources.toml``, which need not be there. A bad section concerns those who read its variable."""
        path = tables / FILE
        try:
            sections = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except tomllib.TOMLDecodeError as error:
            return cls(fault=TableError(f"{path} is not TOML: {one_line(error)}; mend that line"))
        except (OSError, UnicodeDecodeError) as error:
            return cls(fault=TableError(f"{path} cannot be read: {one_line(error)}; make it a readable UTF-8 file"))
        except (ValueError, RecursionError) as error:
            return cls(
                fault=TableError(f"{path} holds a value that is too large or too deep: {one_line(error)}; remove it")
            )
        sources: dict[str, FileSource] = {}
        faults: dict[str, TableError] = {}
        for name, fields in sections.items():
            try:
                sources[name] = _parse_source(name, fields)
            except TableError as error:
                # By the variable as DuckDB compares names, so that readers of a section [Flights] learn of its fault.
                faults[lower_ascii(name)] = TableError(f"{path}: {error}")
        return cls(sources, faults)

    def of_variable(self, name: str) -> FileSource | None:
        """The source that the variable stands for; raises ``TableError`` for one that is broken."""
        if name not in self.sources and name in self.faults:
            raise self.faults[name]
        return self.sources.get(name)


def _parse_source(name: str, fields: Any) -> FileSource:
    if not _NAME.fullmatch(name):
        shown = shorten(printable(name))
        raise TableError(f"the name [{shown}] is not that of a variable; use up to 63 lower case letters, digits and _")
    if name == "source":
        raise TableError("[source] is the name of the folder of all raw files; name the section otherwise")
    if not isinstance(fields, dict):
        shown = shorten(repr(fields))
        raise TableError(f'{name} = {shown} is not a section; write [{name}] and files = "…" below it')
    try:
        source = FileSource.model_validate(fields)
    except ValidationError as error:
        raise TableError(f"[{name}] {_describe_fault(error)}") from error
    if source.marker and source.marker.period != source.files.period:
        raise TableError(
            f"[{name}] has a marker for each {source.marker.period} and files for each {source.files.period}; "
            "give both the same date"
        )
    if source.marker and re.search(r"[*?]", source.marker.text):
        raise TableError(f"[{name}] has the marker {source.marker.text!r}, which is one file; write it without * and ?")
    return source


def _describe_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    setting = shorten(printable(".".join(str(part) for part in first["loc"])))
    if first["type"] == "extra_forbidden":
        return f"has the unknown setting '{setting}'; known are {', '.join(FileSource.model_fields)}"
    if first["type"] == "missing":
        return f'lacks {setting}; write {setting} = "flights/{{day}}/*.csv", say'
    reason = rule_of(first["msg"])
    # What we say of a template names it already.
    value = "" if first["type"] == "value_error" else f" = {shorten(repr(first['input']))}"
    return f"{setting}{value} is not valid: {reason}"
