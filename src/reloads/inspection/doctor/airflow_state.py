"""What is wrong with an Airflow, by what it says of itself."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from reloads.errors import OperatorError, one_line, shorten
from reloads.inspection.doctor.airflow_look import AirflowReport, ask_airflow
from reloads.inspection.doctor.finding import Finding, good, unknown, warning, wrong
from reloads.planning.batching import BATCHES_PER_RUN, GROUPS_PER_RUN
from reloads.settings import Settings
from reloads.tables.definition import TABLE_NAME, table_names
from reloads.tables.task_settings import read_task_settings

REFUSALS = 5
"""Tasks beside the batches that a run may map."""

SLOW_SECONDS = 300
BROKEN_TABLES = "reloads_broken_tables.py"


def examine_airflow(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """What keeps Airflow from serving requests; nothing where it cannot be asked, but a sentence."""
    try:
        report = ask_airflow(environment)
    except OperatorError as error:
        yield unknown("airflow", str(error))
        return
    findings = [
        *_examine_processes(report),
        *_examine_dags(settings, report),
        *_examine_import_errors(report),
        *_examine_options(settings, report),
        *_examine_rest(settings, report),
    ]
    yield from findings
    if not any(finding.level == "wrong" for finding in findings):
        yield good("airflow", "its processes run, and its DAGs are on")


def _examine_processes(report: AirflowReport) -> Iterator[Finding]:
    for name, seen in report.silent.items():
        last = f"gave no sign of life since {seen}" if seen else "never gave a sign of life"
        yield wrong("airflow", f"its {name} {last}, and nothing is done without it; start airflow {name}")


def _examine_dags(settings: Settings, report: AirflowReport) -> Iterator[Finding]:
    names = settings.names
    tables = _list_tables(settings)
    missing: list[str] = []
    for dag_id in (names.intake_dag, *map(names.rewrite_dag, tables), names.maintain_dag):
        dag = report.dags.get(dag_id)
        if dag is None:
            missing.append(dag_id)
        elif not dag.is_ours:
            sentence = f"the DAG {dag_id} is somebody else's, by {dag.file}"
            yield wrong("dags", f"{sentence}; set RELOADS_PREFIX, as to reloads_, for all processes")
        elif dag.is_paused:
            yield wrong(
                "dags", f"{dag_id} is paused, so what it would do waits; unpause it (airflow dags unpause {dag_id})"
            )
    if missing:
        sentence = f"Airflow has no DAG {', '.join(missing)}"
        yield wrong("dags", f"{sentence}; put a DAG file that calls build_dags into its DAGs folder, or mend that")


def _examine_import_errors(report: AirflowReport) -> Iterator[Finding]:
    others = 0
    for error in report.import_errors:
        if error.file.endswith(BROKEN_TABLES):
            continue  # each broken table is named by itself
        if "reloads" not in error.text and "reloads" not in error.file:
            others += 1
            continue
        last = [line for line in error.text.splitlines() if line.strip()][-1:]
        reason = shorten(one_line(last[0] if last else "no reason"), 300)
        yield wrong("dags", f"{error.file} cannot be read ({reason}); mend what it names")
    if others:
        yield warning(
            "dags", f"{others} DAG files of others cannot be read; airflow dags list-import-errors names them"
        )


def _examine_options(settings: Settings, report: AirflowReport) -> Iterator[Finding]:
    options = report.options
    if options["scheduler.use_job_schedule"].lower() != "true":
        yield wrong("airflow", "[scheduler] use_job_schedule is off, so the clock never asks; set it to True")
    needed = REFUSALS + (settings.tasks_at_once if settings.workers == 1 else BATCHES_PER_RUN + GROUPS_PER_RUN)
    if int(options["core.max_map_length"]) < needed:
        sentence = f"[core] max_map_length is {options['core.max_map_length']}, and a run maps up to {needed} tasks"
        yield wrong("airflow", f"{sentence}; set it to 1024")
    if options["core.dags_are_paused_at_creation"].lower() == "true":
        sentence = (
            "[core] dags_are_paused_at_creation is on, so the DAG of a new table waits until somebody unpauses it"
        )
        yield warning("airflow", f"{sentence}; set it to False")
    seconds = int(options["dag_processor.min_file_process_interval"])
    if seconds > SLOW_SECONDS:
        sentence = (
            f"[dag_processor] min_file_process_interval is {seconds}, so a new table has no DAG for so many seconds"
        )
        yield warning("airflow", f"{sentence}; set it to 30")
    if report.database == "sqlite":
        sentence = "its database is SQLite, which is locked when several tasks run at once"
        yield warning("airflow", f"{sentence}; use PostgreSQL for more than a trial")


def _examine_pools(settings: Settings, report: AirflowReport) -> Iterator[Finding]:
    if settings.pool not in report.pools:
        sentence = f"RELOADS_POOL={settings.pool!r} is not a pool of Airflow, so no batch starts"
        yield wrong("airflow", f"{sentence}; {_make_pool(settings.pool)}, or remove the setting")
    for table in _list_tables(settings):
        pool = read_task_settings(settings, table).pool
        if pool != settings.pool and pool not in report.pools:
            sentence = f"the pool {shorten(pool)!r} of {table} is not one of Airflow, so no batch of it starts"
            yield wrong("airflow", f"{sentence}; {_make_pool(pool)}, or remove pool from its table.toml")


def _make_pool(name: str) -> str:
    return f"make it (airflow pools set {shlex.quote(shorten(name))} 4 rewrites)"


def _list_tables(settings: Settings) -> list[str]:
    return list(filter(TABLE_NAME.fullmatch, table_names(settings.tables))) if settings.tables.is_dir() else []


def _examine_rest(settings: Settings, report: AirflowReport) -> Iterator[Finding]:
    yield from _examine_pools(settings, report)
    if report.plugin_fault:
        yield wrong("page", f"Airflow has not loaded the Warehouse page ({report.plugin_fault}); mend that")
    watched = {Path(landing) for landing in report.landings}
    if settings.sees_landing and watched and settings.landing not in watched:
        sentence = (
            f"Airflow watches {', '.join(map(str, sorted(watched)))}, and this command looks at {settings.landing}"
        )
        yield wrong("landing folder", f"{sentence}; set RELOADS_HOME to the same for both")
