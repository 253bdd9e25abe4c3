"""What Airflow says of itself, asked in a process of its own: this one does not import Airflow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel, ValidationError

from reloads.errors import OperatorError, one_line, shorten

MODULE = "reloads.airflow.self_report"
SECONDS = 120
OPTIONS = (
    ("scheduler", "use_job_schedule"),
    ("core", "max_map_length"),
    ("core", "dags_are_paused_at_creation"),
    ("dag_processor", "min_file_process_interval"),
)
"""The settings of Airflow that our DAGs need."""

MARK = "reloads self report: "
"""Before the answer, as others may print, too."""


class DagReport(BaseModel):
    """A DAG in Airflow's database."""

    is_paused: bool
    is_ours: bool
    file: str


class ImportErrorReport(BaseModel):
    """A DAG file that cannot be read."""

    file: str
    text: str


class AirflowReport(BaseModel):
    """What matters to us of an Airflow."""

    database: str
    options: dict[str, str]
    dags: dict[str, DagReport]
    import_errors: list[ImportErrorReport]
    silent: dict[str, str | None]
    """The kinds of processes that do not run, each with its last sign of life."""
    pools: list[str]
    plugin_fault: str | None
    landings: list[str]
    """The drop folders that doorbells watch."""


def ask_airflow(environment: Mapping[str, str]) -> AirflowReport:
    """Ask the Airflow that the environment is of; raises ``OperatorError`` with a sentence where it cannot be asked."""
    require_home(environment)
    try:
        done = subprocess.run(  # noqa: S603  the program is this Python
            [sys.executable, "-P", "-m", MODULE],
            env=dict(environment),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise OperatorError(f"Airflow's database does not answer within {SECONDS} s; see that it runs") from error
    _, mark, answer = done.stdout.rpartition(MARK)
    if done.returncode or not mark:
        said = shorten(one_line(done.stderr.strip().rpartition("\n")[2]), 300)
        cure = "see that its database runs and was migrated (airflow db migrate)"
        raise OperatorError(f"Airflow cannot be asked ({said or f'exit code {done.returncode}'}); {cure}")
    try:
        return AirflowReport.model_validate_json(answer)
    except ValidationError as error:
        raise OperatorError(f"Airflow's answer cannot be read ({one_line(error)[:200]}); try again") from error


def require_home(environment: Mapping[str, str]) -> None:
    """Raise ``OperatorError`` where nothing says that an Airflow is here: asking would make a home for one."""
    if find_spec("airflow") is None:
        raise OperatorError("Airflow is not installed beside reloads; run this where Airflow runs")
    has_home = "AIRFLOW_HOME" in environment or any(name.startswith("AIRFLOW__DATABASE__") for name in environment)
    if not has_home and not Path("~/airflow/airflow.cfg").expanduser().exists():
        cure = "run this with the environment variables of Airflow's processes"
        raise OperatorError(f"AIRFLOW_HOME is not set and ~/airflow is not there, so no Airflow was asked; {cure}")
