"""Check all table folders at once, for a person or for Airflow's page of import errors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from reloads.errors import OperatorError, QueryError, TableError
from reloads.rewriting.check_statements import list_checks
from reloads.rewriting.data_checks import bind_checks
from reloads.rewriting.engine import Share, connect
from reloads.rewriting.inputs import create_inputs, set_parameters
from reloads.rewriting.linked_inputs import LinkedInput
from reloads.rewriting.schema import query_columns, refuse_lossy_types, refuse_types_without_snapshot
from reloads.settings import Settings, named_urls
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from reloads.tables.file_sources import FileSources
from reloads.tables.raw_files import RawFiles
from reloads.warehouse.access import state_of
from reloads.warehouse.partitions import folder_of

SMALL = Share(threads=1, memory_mb=512)


@dataclass(frozen=True)
class CheckedTables:
    """Tables of which none is broken."""

    names: list[str]
    unchecked: dict[str, str]
    """Those whose raw files are not there, by name, with the fault that says so: a wrong column would not show."""

    def gaps(self) -> list[str]:
        """A sentence for each fault that kept tables from being checked."""
        names: dict[str, list[str]] = {}
        for name, fault in self.unchecked.items():
            names.setdefault(fault, []).append(name)
        return [f"the columns of {', '.join(some)} were not checked: {fault}" for fault, some in names.items()]


def check_tables(settings: Settings) -> CheckedTables:
    """All tables, if all are good; raises ``TableError`` with a line for each broken one.

    Queries are bound to their sources, so an unknown column shows before somebody asks for a reload. Raw files come and
    go, so a table whose files are missing is not broken, and its columns are not looked at.
    """
    catalog = Catalog.load(settings.tables)
    problems = {name: str(error) for name, error in catalog.broken.items()}
    file_sources = FileSources.load(settings.tables)
    for fault in filter(None, (file_sources.fault, *file_sources.faults.values())):
        if str(fault) not in problems.values():
            problems[str(fault)] = str(fault)
    unchecked: dict[str, str] = {}
    with TemporaryDirectory(prefix="reloads-") as folder:
        for name, table in catalog.tables.items():
            try:
                if sentence := _bind(table, catalog, settings, Path(folder)):
                    unchecked[name] = sentence
            except (QueryError, TableError) as error:
                problems[name] = str(error)
    problems |= _find_message_problems(settings, catalog) | _find_snapshot_problems(settings, catalog)
    if problems:
        # A fault of the sources is one of each table that reads them.
        raise TableError("\n".join(dict.fromkeys(problems[name] for name in sorted(problems))))
    return CheckedTables(sorted(catalog.tables), dict(sorted(unchecked.items())))


def _find_message_problems(settings: Settings, catalog: Catalog) -> dict[str, str]:
    """Why messages cannot be sent; only where URLs are set, as not every process has to know them."""
    named = named_urls(os.environ)
    if not named and not settings.notify_urls():
        return {}
    problems: dict[str, str] = {}
    if find_spec("apprise") is None:
        problems["notify"] = (
            "RELOADS_NOTIFY names receivers of messages, but Apprise is missing; install reloads[notify]"
        )
    for table in catalog.tables.values():
        for name in table.settings.notify:
            if name not in named:
                file = settings.tables / table.name / "table.toml"
                problems[f"{table.name} {name}"] = (
                    f"{file}: notify names {name}, which nobody set; set RELOADS_NOTIFY_{name}"
                )
    return problems


def _find_snapshot_problems(settings: Settings, catalog: Catalog) -> dict[str, str]:
    """Why snapshots cannot be written, if a table has some."""
    names = [name for name, table in catalog.tables.items() if table.has_snapshots(settings.snapshots)]
    if not names or find_spec("deltalake") is not None:
        return {}
    return {"snapshots": f"{', '.join(names)} have snapshots, but Delta Lake is missing; install reloads[snapshots]"}


def _bind(table: Table, catalog: Catalog, settings: Settings, folder: Path) -> str | None:
    """Bind the query and the checks; returns why that could not be done, if raw files are missing for it."""
    list_checks(table)
    folder_of(settings.warehouse, table).refuse_other_layout()
    inputs = catalog.all_inputs(table)
    empty_inputs: dict[str, LinkedInput] = {}
    for name in table.inputs:
        head = state_of(folder_of(settings.warehouse, inputs[name])).read_head()
        empty_inputs[name] = LinkedInput(inputs[name], head)
    raw = RawFiles.look(settings)
    with connect(table, raw=raw, folder=folder, share=SMALL, time_zone=settings.time_zone) as engine:
        try:
            create_inputs(engine, empty_inputs, warehouse=settings.warehouse, inputs=inputs)
            set_parameters(engine.db, table, {})
            columns = query_columns(engine, table)
            refuse_lossy_types(engine.db, table, columns)
            if table.has_snapshots(settings.snapshots):
                refuse_types_without_snapshot(engine.db, table, columns)
            bind_checks(engine.db, table, columns=columns)
        except (OperatorError, QueryError):
            # Also a check that reads the missing source, though the query does not.
            if not engine.source_errors:
                raise
            return "; ".join(engine.source_errors)
    return None
