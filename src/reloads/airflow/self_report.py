"""What this Airflow says of itself, for ``reloads doctor``, which does not import Airflow: prints it as JSON.

It only reads Airflow's settings and its database.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from airflow import plugins_manager
from airflow.configuration import conf
from airflow.jobs.job import most_recent_job
from airflow.models.dag import DagModel, DagTag
from airflow.models.errors import ParseImportError
from airflow.models.pool import Pool
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from sqlalchemy import make_url, select
from sqlalchemy.exc import SQLAlchemyError

from reloads.errors import one_line
from reloads.inspection.doctor.airflow_look import MARK, OPTIONS, AirflowReport, DagReport, ImportErrorReport

PROCESSES = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}
PLUGIN = "reloads"
DOORBELL = "reloads.airflow.doorbell.Doorbell"


def report_itself() -> AirflowReport:
    """Read settings and database."""
    url = make_url(conf.get("database", "sql_alchemy_conn"))
    dialect = url.get_backend_name()
    # To connect to a file that is not there would make one.
    if dialect == "sqlite" and url.database and not Path(url.database).exists():
        sys.exit(f"{url.database} does not exist")
    with create_session() as session:
        return AirflowReport(
            database=dialect,
            options={f"{section}.{name}": str(conf.get(section, name)) for section, name in OPTIONS},
            dags=_read_dags(session),
            import_errors=[
                ImportErrorReport(file=str(error.filename), text=str(error.stacktrace))
                for error in session.scalars(select(ParseImportError))
            ],
            silent=_find_silent(session),
            pools=list(session.scalars(select(Pool.pool))),
            plugin_fault=_find_plugin_fault(),
            landings=_find_landings(session),
        )


def _read_dags(session: Any) -> dict[str, DagReport]:
    ours = set(session.scalars(select(DagTag.dag_id).where(DagTag.name == "reloads")))
    dags: dict[str, DagReport] = {}
    for dag in session.scalars(select(DagModel).where(~DagModel.is_stale)):
        dags[dag.dag_id] = DagReport(is_paused=dag.is_paused, is_ours=dag.dag_id in ours, file=str(dag.fileloc))
    return dags


def _find_silent(session: Any) -> dict[str, str | None]:
    silent: dict[str, str | None] = {}
    for name, kind in PROCESSES.items():
        job = most_recent_job(kind, session=session)
        if job is None or not job.is_alive():
            silent[name] = f"{job.latest_heartbeat:%Y-%m-%d %H:%M:%S} UTC" if job and job.latest_heartbeat else None
    return silent


def _find_plugin_fault() -> str | None:
    plugins, faults = plugins_manager._get_plugins()  # noqa: SLF001 - by name, whatever it brings
    if any(plugin.name == PLUGIN for plugin in plugins):
        return None
    return next((one_line(fault) for place, fault in faults.items() if PLUGIN in place), "it is not installed")


def _find_landings(session: Any) -> list[str]:
    triggers = session.scalars(select(Trigger).where(Trigger.classpath == DOORBELL))
    return sorted({str(trigger.kwargs["landing"]) for trigger in triggers})


if __name__ == "__main__":
    try:
        report = report_itself()
    except SQLAlchemyError as error:
        sys.exit(one_line(str(error.__cause__ or error).partition("\n")[0]))
    print(MARK + report.model_dump_json())  # noqa: T201 - this is how it answers
