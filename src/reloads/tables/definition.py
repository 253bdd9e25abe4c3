"""A table: one folder below ``tables/`` with a query and its settings.

tables/sources.sql            views over the raw files, shared by all tables
tables/sources.toml           where the raw files of a day lie, for the views that read no others
tables/<table>/query.sql      one SELECT that defines all of the table, as a view would
tables/<table>/table.toml     day column, first day and limits
tables/<table>/checks.sql     what its new rows must fulfil before they are published
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from difflib import SequenceMatcher, get_close_matches
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from reloads.errors import TableError, one_line, rule_of
from reloads.settings import Event
from reloads.tables.arrival_settings import parse_due, parse_span
from reloads.tables.file_sources import FileSource, FileSources
from reloads.tables.lineage import parse_window
from reloads.tables.parameters import Parameter
from reloads.tables.parser import open_parser
from reloads.tables.references import References, find_references, lower_ascii
from reloads.tables.sources import Statement, needed_statements, parse_sources, set_variables
from reloads.tables.statements import normalize, strip_end

TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
"""Names that are safe as a folder, a DAG id and an identifier in SQL at once."""

Column = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")]
FILES = ("query.sql", "table.toml", "checks.sql")
"""The files of a table folder."""

_OTHER_FILE = re.compile(r"\..*|.*\.md|.*~|#.*#|.*\.(bak|orig|rej|swp|tmp)", re.IGNORECASE)
"""Hidden files, texts, and what editors and merges leave behind."""

_GETVARIABLE = re.compile(r"\bgetvariable \( '([^']*)' \)", re.IGNORECASE)
"""A call in a normalized text."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
AirflowName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
"""Of a pool or a queue; Airflow's database takes no longer one (3.3.2)."""

UrlName = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{0,62}$")]


def _check_window(text: str) -> str:
    parse_window(text)
    return text


def _check_due(text: str) -> str:
    parse_due(text)
    return text


def _check_span(text: str) -> str:
    parse_span(text)
    return text


def _check_on_arrival(value: object) -> object:
    if value is not True and value is not False and value != "corrections":
        raise ValueError('it is none of true, false and "corrections"; write one of them')
    return value


OnArrival = Annotated[bool | Literal["corrections"], BeforeValidator(_check_on_arrival)]


class CheckSettings(BaseModel):
    """What ``table.toml`` says of one check of ``checks.sql``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    severity: Literal["error", "warn"] = Field(
        "error", description="`error` keeps the published rows of the day, `warn` only reports"
    )


class TableSettings(BaseModel):
    """The content of ``table.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    day_column: Column = Field(description="column of type DATE that the table is partitioned by")
    keys: list[Column] = Field([], max_length=3, description="further columns that it is partitioned by")
    first_day: date = Field(description="no day before it can be asked for")
    daily: bool = Field(False, description="loaded every day for the day before")
    look_back: int = Field(0, ge=0, le=1000, description="so many days before it are loaded with it, for late rows")
    reads: dict[Name, Annotated[str, AfterValidator(_check_window)]] = Field(
        {}, description='how much of an input a day depends on, like `{ flights = "7 days" }`; default: the same day'
    )
    on_arrival: OnArrival = Field(
        False, description='raw files that arrive or change ask for their days; `"corrections"`: for days once loaded'
    )
    arrival_days: int = Field(31, ge=0, le=40_000, description="so many days before today, and today, they ask for")
    due: Annotated[str, AfterValidator(_check_due)] | None = Field(
        None, description='when a day is late, in hours and minutes after it ended, like `"06:00"` or `"30:00"`'
    )
    give_up_after: Annotated[str, AfterValidator(_check_span)] = Field(
        "7 days", description='how long a request waits for raw files, like `"12 hours"`; it fails then'
    )
    order_by: list[Column] = Field([], description="columns that order the rows within a partition")
    parallelism: int = Field(0, ge=0, le=1000, description="batches at once; default: as many as RELOADS_THREADS")
    days_per_batch: int = Field(31, ge=1, description="fewer days than this are not worth a task of their own")
    mb_per_batch: int = Field(512, ge=0, description="nor are fewer megabytes than this, by what is published")
    key_slices: int = Field(1, ge=1, le=64, description="queries that a batch's keys are cut into, to take less memory")
    partitions_per_run: int = Field(400, ge=1, description="the rest of a longer reload waits for the next run")
    max_days_per_request: int = Field(4000, ge=1, description="a request for more days is refused")
    history_days: int = Field(7, ge=0, le=3650, description="how long replaced partitions are kept for an undo")
    on_schema_change: Literal["refuse", "append", "replace"] = Field(
        "refuse", description="`append` lets new columns in; `replace` lets all in and reloads all partitions"
    )
    keep_failed: bool = Field(False, description="keep the rows that a check refused, in `warehouse/.failed`")
    on_empty: Literal["refuse", "publish"] = Field(
        "refuse", description="`publish` lets a day come out without any row; else it fails and keeps its files"
    )
    parameters: dict[Name, Parameter] = Field({}, description="values that a request may set")
    checks: dict[Name, CheckSettings] = Field({}, description="severity of a check; default: all `error`")
    notify: list[UrlName] = Field(
        [], description='further receivers of its messages; `["TEAM"]` is the URL in `RELOADS_NOTIFY_TEAM`'
    )
    notify_on: list[Event] | None = Field(
        None, description="what messages of this table are about; default: `RELOADS_NOTIFY_ON`"
    )
    snapshots: Literal["none", "delta"] | None = Field(
        None,
        description="`delta`: a Delta table over the same files shows each run whole; default: `RELOADS_SNAPSHOTS`",
    )
    requirements: list[str] = Field([], description="Python packages that its rewrite needs, in an own environment")
    queue: AirflowName | None = Field(
        None, description="Airflow's queue of its rewrites, for workers of its own; default: `RELOADS_QUEUE`"
    )
    pool: AirflowName | None = Field(
        None, description="Airflow's pool of its rewrites, so that not too many run at once; default: `RELOADS_POOL`"
    )
    batch_minutes: float | None = Field(
        None,
        gt=0,
        le=10_000,
        description="minutes that a batch may take, or its days fail; default: `RELOADS_BATCH_MINUTES`",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.key_slices > 1 and not self.keys:
            raise ValueError("key_slices cuts the keys of a table; name keys or remove it")
        if len({self.day_column, *self.keys}) <= len(self.keys):
            raise ValueError("keys names a column twice or the day column; name each once")
        return self


@dataclass(frozen=True)
class Table:
    """A table as its folder defines it."""

    name: str
    query: str
    settings: TableSettings
    version: str
    """Changes with the query, the settings and those sources that the query reads; never with a comment."""
    sources: tuple[Statement, ...] = ()
    """The statements of ``sources.sql`` that the query needs."""
    check_sources: tuple[Statement, ...] = ()
    """Those that its checks need."""
    inputs: Mapping[str, int] = field(default_factory=dict)
    """The tables that the query reads, and how many days of each one of its days depends on."""
    checks: str = ""
    file_sources: Mapping[str, FileSource] = field(default_factory=dict)
    """By variable, the sources whose files the query or its checks read."""
    file_windows: Mapping[str, int] = field(default_factory=dict)
    """By variable, how many days of the files one of its days depends on."""
    has_other_sources: bool = False
    """Whether it reads the source folder in another way, too, so that nobody can know when that changes."""

    def has_snapshots(self, default: str) -> bool:
        """Whether a Delta table shows its runs whole; ``default`` is what the deployment says of all tables."""
        return (self.settings.snapshots or default) == "delta"


def table_names(tables: Path) -> list[str]:
    """The names of all table folders, sorted, without reading any of them: cheap enough for a DAG file."""
    if not tables.is_dir():
        raise TableError(f"{tables} is not a folder; set RELOADS_HOME or RELOADS_TABLES to where the tables are")
    with os.scandir(tables) as entries:
        # Whether an entry is a folder is asked of the listing and not of each: a daily load of 200 tables asks often.
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith((".", "_")))


@dataclass(frozen=True)
class Shared:
    """What all tables of a folder share, read once for all of them."""

    tables: Path
    names: tuple[str, ...]
    """Of all table folders."""
    statements: str
    """The text of ``sources.sql``."""
    file_sources: FileSources
    fault: TableError | None = None
    """Why ``sources.sql`` cannot be read; it concerns every table."""

    @classmethod
    def read(cls, tables: Path) -> Self:
        """Read it; raises ``TableError`` if there is no such folder."""
        names, file_sources = tuple(table_names(tables)), FileSources.load(tables)
        try:
            return cls(tables, names, _read_optional(tables / "sources.sql"), file_sources)
        except TableError as fault:
            return cls(tables, names, "", file_sources, fault)


@dataclass(frozen=True)
class _Texts:
    """The files of one table folder."""

    query: str
    settings: str
    checks: str


_parsed: dict[tuple[Path, str], tuple[Shared, _Texts, Table]] = {}
"""By folder and name, what was read last and what it means. Every task reads all tables, and almost all of them are
what they were when the process read them from which it was forked: 200 tables take 0.02 s so, and 0.39 s from nothing.
"""


def load_table(tables: Path, name: str, *, shared: Shared | None = None) -> Table:
    """Read and check one table folder; ``shared`` is given where somebody has read it.

    Raises ``TableError`` naming the file and the rule: a bad folder name, a missing file, TOML that does not parse, an
    unknown or wrong setting, a query that is not exactly one SELECT.
    """
    shared = shared or Shared.read(tables)
    if not TABLE_NAME.fullmatch(name):
        raise TableError(f"{tables / name}: a table's name is lower case letters, digits and _; rename the folder")
    texts = _read_texts(tables / name)
    if shared.fault:
        raise shared.fault
    kept = _parsed.get((tables, name))
    if kept and kept[:2] == (shared, texts):
        return kept[2]
    table = _parse_table(name, shared, texts)
    _parsed[tables, name] = (shared, texts, table)
    return table


def _read_texts(folder: Path) -> _Texts:
    """Read the files of the folder; raises ``TableError`` for one that nobody would ever read, like a ``check.sql``."""
    names = _list_files(folder)
    for name in names:
        if name not in FILES and not _OTHER_FILE.fullmatch(name):
            [nearest] = get_close_matches(name.lower(), FILES, n=1, cutoff=0)
            rule = f"a table folder holds {', '.join(FILES)}, and texts as *.md"
            raise TableError(f"{folder / name} would never be read: {rule}; rename it to {nearest} or remove it")
    settings = _read(folder / "table.toml")
    query = _read(folder / "query.sql")
    return _Texts(query, settings, _read(folder / "checks.sql") if "checks.sql" in names else "")


def _list_files(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_file())
    except OSError as error:
        raise TableError(f"{folder} cannot be read: {one_line(error)}; make it a readable folder") from error


def _parse_table(name: str, shared: Shared, texts: _Texts) -> Table:
    tables, names = shared.tables, shared.names
    folder = tables / name
    settings = _parse_settings(folder / "table.toml", texts.settings)
    query = _parse_query(folder / "query.sql", texts.query)
    references = _find_references(folder / "query.sql", query)
    checks = texts.checks
    if settings.checks and not checks:
        raise TableError(
            f"{folder / 'table.toml'}: checks names '{next(iter(settings.checks))}' but there is no checks.sql; "
            "write it, or remove the setting"
        )
    statements = parse_sources(shared.statements)
    reader = Statement(query, references=references)
    sources = needed_statements(statements, [reader])
    check_statements = parse_sources(checks)
    check_sources = needed_statements(statements, check_statements)
    _refuse_ambiguous_names(
        tables, name, names, (*sources, *check_sources, *(source for source in statements if source.name == name))
    )
    readers = (reader, *check_statements, *sources, *check_sources)
    own_variables = {"source", *settings.parameters, *set_variables(statements)}
    all_file_sources, file_sources = _find_file_sources(shared, readers, own_variables)
    known = {*own_variables, *all_file_sources}
    if settings.on_arrival and not file_sources:
        raise TableError(
            f"{folder / 'table.toml'}: on_arrival is true but the query reads no files of sources.toml; "
            "name its files there, or remove the setting"
        )
    _refuse_unknown_variables(folder / "query.sql", [reader], known)
    _refuse_unknown_variables(folder / "checks.sql", check_statements, known)
    _refuse_unknown_variables(tables / "sources.sql", (*sources, *check_sources), known, reader=name)
    return Table(
        name=name,
        query=query,
        settings=settings,
        version=_build_version(query, settings, sources),
        sources=sources,
        check_sources=check_sources,
        inputs=_read_inputs(tables / name, names, references, settings, file_sources),
        checks=checks,
        file_sources=file_sources,
        file_windows={name: parse_window(settings.reads.get(name, "1 day")) for name in file_sources},
        has_other_sources="source" in _find_variables((reader, *sources)),
    )


def _find_variables(statements: Iterable[Statement]) -> set[str]:
    """The variables that these statements read; where parsing cannot tell, as in a macro, those that it may read."""
    names: set[str] = set()
    for statement in statements:
        if statement.references:
            names |= statement.references.variables
        else:
            names |= {lower_ascii(name) for name in _GETVARIABLE.findall(statement.normalized)}
    return names


def _find_file_sources(
    shared: Shared, readers: Iterable[Statement], own_variables: Collection[str]
) -> tuple[list[str], dict[str, FileSource]]:
    """The names of all file sources, and those that these statements read.

    Raises ``TableError`` if one of those is broken, or is called like a variable that somebody else sets.
    """
    all_sources = shared.file_sources
    sources: dict[str, FileSource] = {}
    for name in sorted(_find_variables(readers)):
        source = all_sources.of_variable(name)
        if source and name in own_variables:
            raise TableError(
                f"{shared.tables / 'sources.toml'}: [{name}] is a parameter or a variable, too; rename one of them"
            )
        if source is None and name not in own_variables and all_sources.fault:
            raise all_sources.fault
        if source:
            sources[name] = source
    return sorted(all_sources.sources), sources


def _refuse_ambiguous_names(tables: Path, name: str, names: Collection[str], sources: Iterable[Statement]) -> None:
    """Raise ``TableError`` if one of the sources that concern the table is named like a table folder."""
    for source in sources:
        if source.kind != "macro" and source.name in names:
            raise TableError(
                f"{tables / 'sources.sql'}: {source.title} is named like the table folder {source.name}, "
                f"and '{name}' could mean either; rename one of them"
            )


def _refuse_unknown_variables(path: Path, statements: Iterable[Statement], known: set[str], reader: str = "") -> None:
    """Raise ``TableError`` for a variable that nobody sets, which would be NULL."""
    names = {name.lower() for name in known}
    for statement in statements:
        for variable in sorted(statement.references.variables - names if statement.references else ()):
            nearest = sorted(known, key=lambda name: -SequenceMatcher(None, name.lower(), variable).ratio())
            for_whom = f" for '{reader}'" if reader else ""
            raise TableError(
                f"{path}: getvariable('{variable}') is NULL{for_whom}, as nobody sets it; "
                f"declare the parameter in table.toml, or write one of {', '.join(nearest)}"
            )


def _build_version(query: str, settings: TableSettings, sources: Iterable[Statement]) -> str:
    texts = [normalize(query), _dump_content_settings(settings), *(statement.normalized for statement in sources)]
    return sha256("\0".join(texts).encode()).hexdigest()[:12]


def _dump_content_settings(settings: TableSettings) -> str:
    """The settings that decide what a partition holds; others, like ``parallelism``, make no partition stale."""
    deciding = {"day_column", "keys", "reads", "order_by", "parameters", "requirements"}
    return settings.model_dump_json(include=deciding, exclude_defaults=True)


def _find_references(path: Path, query: str) -> References:
    try:
        return find_references(query)
    except TableError as error:
        raise TableError(f"{path}: {error}") from error


def _read_inputs(
    folder: Path,
    names: Collection[str],
    references: References,
    settings: TableSettings,
    file_sources: Collection[str],
) -> dict[str, int]:
    """The tables that the query reads, and how many days of each; ``TableError`` if ``reads`` names any other."""
    inputs: dict[str, int] = {}
    for table in names:
        if table in references.tables:
            inputs[table] = parse_window(settings.reads.get(table, "1 day"))
    unread = sorted(settings.reads.keys() - inputs.keys() - set(file_sources))
    if unread:
        raise TableError(
            f"{folder / 'table.toml'}: reads names '{unread[0]}' but the query reads "
            f"{', '.join([*inputs, *file_sources]) or 'none'} of the tables and file sources; mend either"
        )
    return inputs


def _read_optional(path: Path) -> str:
    return _read(path) if path.exists() else ""


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise TableError(f"{path} is missing; every table folder holds a query.sql and a table.toml") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path} cannot be read: {one_line(error)}; make it a readable UTF-8 file") from error


def _parse_settings(path: Path, text: str) -> TableSettings:
    try:
        return TableSettings.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{path} is not TOML: {one_line(error)}; mend that line") from error
    except ValidationError as error:
        raise TableError(f"{path}: {_describe_fault(error)}") from error


def _describe_fault(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"unknown setting '{name}'; known are {', '.join(TableSettings.model_fields)}"
    if first["type"] == "missing":
        return f"the setting '{name}' is missing; add it"
    reason = rule_of(first["msg"])
    return f"{name} = {first['input']!r} is not valid: {reason}" if name else reason


@lru_cache(maxsize=2048)
def _parse_query(path: Path, text: str) -> str:
    # DuckDB's own parser, so that whatever DuckDB can run is accepted and nothing else is.
    import duckdb

    try:
        with open_parser() as db:
            statements = db.extract_statements(text)
    except duckdb.Error as error:
        reason = one_line(str(error).partition("LINE")[0])
        raise TableError(f"{path} does not parse: {reason}; mend the query") from error
    if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
        raise TableError(f"{path} must be exactly one SELECT; move views to sources.sql and remove the rest")
    return strip_end(statements[0].query)
