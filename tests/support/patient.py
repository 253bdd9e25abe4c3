"""A deployment in good health, for the doctor to look at: a project, and an Airflow with its database and DAGs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from reloads.settings import Settings
from reloads.tables.template import make_project
from tests.support.command import run_command

# The three processes, as if they had just given a sign of life; it stays fresh for as long as tests run.
SIGNS_OF_LIFE = """
from datetime import timedelta
from airflow._shared.timezones import timezone
from airflow.jobs.job import Job
from airflow.utils.session import create_session
from airflow.utils.state import JobState
with create_session() as session:
    for kind in ("SchedulerJob", "TriggererJob", "DagProcessorJob"):
        job = Job()
        job.job_type, job.state = kind, JobState.RUNNING
        job.start_date = job.latest_heartbeat = timezone.utcnow() + timedelta(hours=1)
        session.add(job)
"""


class Patient:
    """A project in ``home`` and an Airflow beside it; ``environment`` is that of all its processes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RELOADS_", "AIRFLOW"))}
        self.environment = kept | {
            "RELOADS_HOME": str(home),
            "AIRFLOW_HOME": str(home / ".airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        }

    @classmethod
    def born(cls, home: Path) -> Patient:
        """Make everything; it takes some seconds."""
        make_project(home)
        patient = cls(home)
        patient.airflow("db", "migrate")
        patient.read_dags()
        patient.python(SIGNS_OF_LIFE)
        return patient

    def forget_airflow(self) -> Patient:
        """Have no Airflow from now on."""
        self.environment |= {"HOME": str(self.home)}
        del self.environment["AIRFLOW_HOME"]
        return self

    @property
    def settings(self) -> Settings:
        return Settings.from_environment(self.environment)

    def copy_from(self, other: Path) -> Patient:
        """Be as healthy as the files in that folder."""
        shutil.rmtree(self.home, ignore_errors=True)
        shutil.copytree(other, self.home)
        return self

    def airflow(self, *arguments: str) -> str:
        return run_command(
            sys.executable, "-P", "-m", "airflow", *arguments, folder=self.home, environment=self.environment
        )

    def read_dags(self) -> None:
        """What the DAG processor does with the DAG files."""
        self.airflow("dags", "reserialize")

    def python(self, code: str) -> str:
        return run_command(sys.executable, "-P", "-c", code, folder=self.home, environment=self.environment)

    def sql(self, statement: str) -> None:
        """Change Airflow's database."""
        code = f"""
from airflow.utils.session import create_session
from sqlalchemy import text
with create_session() as session:
    session.execute(text({statement!r}))
"""
        self.python(code)

    def see_doctor(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "reloads.cli.main", "doctor", *arguments]
        return subprocess.run(command, cwd=self.home, env=self.environment, capture_output=True, text=True, check=False)

    def find(self, *levels: str) -> list[tuple[str, str]]:
        """The findings of these levels: what they are about, and the sentence."""
        done = self.see_doctor("--json")
        assert done.stdout, done.stderr
        findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
        is_wrong = any(finding["level"] == "wrong" for finding in findings)
        assert done.returncode == (1 if is_wrong else 0)
        return [(finding["about"], finding["sentence"]) for finding in findings if finding["level"] in levels]
