"""A table: one folder below ``tables/`` with a query and its settings.

tables/sources.sql            views over the raw files, shared by all tables
tables/<table>/query.sql      one SELECT that defines all of the table, as a view would
tables/<table>/table.toml     day column, first day and limits
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from reloads.errors import TableError, one_line

TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""Names that are safe as a folder, a DAG id and an identifier in SQL at once."""

Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]


class TableSettings(BaseModel):
    """The content of ``table.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    day_column: Column = Field(description="column of type DATE that the table is partitioned by")
    first_day: date = Field(description="no day before it can be asked for")
    daily: bool = Field(False, description="loaded every day for the day before")
    order_by: list[Column] = Field([], description="columns that order the rows within a partition")
    parallelism: int = Field(0, ge=0, le=1000, description="batches at once; default: as many as RELOADS_THREADS")
    days_per_batch: int = Field(31, ge=1, description="fewer days than this are not worth a task of their own")
    partitions_per_run: int = Field(400, ge=1, description="the rest of a longer reload waits for the next run")
    max_days_per_request: int = Field(4000, ge=1, description="a request for more days is refused")


@dataclass(frozen=True)
class Table:
    """A table as its folder defines it; ``version`` changes with the query, the settings or the sources."""

    name: str
    query: str
    settings: TableSettings
    sources: str
    version: str


def table_names(tables: Path) -> list[str]:
    """The names of all table folders, sorted, without reading any of them: cheap enough for a DAG file."""
    if not tables.is_dir():
        raise TableError(f"{tables} is not a folder; set RELOADS_HOME or RELOADS_TABLES to where the tables are")
    folders = (entry.name for entry in tables.iterdir() if entry.is_dir())
    return sorted(name for name in folders if not name.startswith((".", "_")))


def load_table(tables: Path, name: str) -> Table:
    """Read and check one table folder.

    Raises ``TableError`` naming the file and the rule: a bad folder name, a missing file, TOML that does not parse, an
    unknown or wrong setting, a query that is not exactly one SELECT.
    """
    if not TABLE_NAME.fullmatch(name):
        raise TableError(f"{tables / name}: a table's name is lower case letters, digits and _; rename the folder")
    settings = _settings(tables / name / "table.toml")
    query = _one_select(tables / name / "query.sql")
    sources = _read(tables / "sources.sql") if (tables / "sources.sql").exists() else ""
    version = sha256(f"{query}\0{settings.model_dump_json()}\0{sources}".encode()).hexdigest()[:12]
    return Table(name=name, query=query, settings=settings, sources=sources, version=version)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise TableError(f"{path} is missing; every table folder holds a query.sql and a table.toml") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read: {one_line(error)}; make it a readable UTF-8 file") from error


def _settings(path: Path) -> TableSettings:
    try:
        return TableSettings.model_validate(tomllib.loads(_read(path)))
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{path} is not TOML: {one_line(error)}; mend that line") from error
    except ValidationError as error:
        raise TableError(f"{path}: {_setting_rule(error)}") from error


def _setting_rule(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting '{name}'; known are {', '.join(TableSettings.model_fields)}"
    if first["type"] == "missing":
        return f"the setting '{name}' is missing; add it"
    return f"{name} = {first['input']!r} is not valid: {one_line(first['msg'])}"


def _one_select(path: Path) -> str:
    # DuckDB's own parser, so that whatever DuckDB can run is accepted and nothing else is.
    import duckdb

    text = _read(path)
    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        reason = one_line(str(error).partition("LINE")[0])
        raise TableError(f"{path} does not parse: {reason}; mend the query") from error
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise TableError(f"{path} must be exactly one SELECT; move views to sources.sql and remove the rest")
    return _without_end(statements[0].query)


def _without_end(query: str) -> str:
    """The query without the semicolons and comments behind it, which cannot stand within another query."""
    import duckdb

    text = query.encode()
    end = len(text)
    for start, kind in reversed(duckdb.tokenize(query)):
        if kind != duckdb.token_type.comment and text[start:end].strip() != b";":
            break
        end = start
    return text[:end].decode().strip()
