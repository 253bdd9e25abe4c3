"""The logs that Airflow's tasks wrote for a run, read from its log folder; Airflow itself is not asked.

<log folder>/dag_id=<dag>/run_id=<run>/task_id=<task>/[map_index=<n>/]attempt=<n>.log
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from reloads.errors import one_line
from reloads.settings import Settings

ORDER = ("plan", "rewrite", "settle")
"""The tasks of a run, as they follow each other."""

_LOG = re.compile(r"task_id=(?P<task>[^/]+)/(?:map_index=(?P<index>[0-9]+)/)?attempt=(?P<attempt>[0-9]+)\.log")


@dataclass(frozen=True)
class TaskLog:
    """The log of one attempt of one task."""

    path: Path
    task: str
    map_index: int | None
    attempt: int

    @property
    def label(self) -> str:
        """``rewrite[3]``, and which attempt it was if not the first."""
        place = self.task if self.map_index is None else f"{self.task}[{self.map_index}]"
        return place if self.attempt == 1 else f"{place}, attempt {self.attempt}"


@dataclass(frozen=True)
class LogLine:
    """One line of a log; without a time where the line says none."""

    at: datetime | None
    level: str
    text: str
    logger: str = ""

    @property
    def is_news(self) -> bool:
        """Whether it is more than Airflow's own word that a task began and ended."""
        return self.at is None or self.logger.startswith("reloads") or self.level not in ("debug", "info")


def find_log_folder(settings: Settings, environment: Mapping[str, str]) -> Path | None:
    """Airflow's log folder: the one that it is told, that of ``make up``, or that of Airflow's home; None if away."""
    candidates = [settings.home / ".local" / "airflow" / "logs"]
    if told := environment.get("AIRFLOW__LOGGING__BASE_LOG_FOLDER"):
        candidates.insert(0, Path(told))
    airflow_home = environment.get("AIRFLOW_HOME")
    candidates.append(Path(airflow_home) / "logs" if airflow_home else Path.home() / "airflow" / "logs")
    return next((folder for folder in candidates if folder.is_dir()), None)


def run_url(environment: Mapping[str, str], dag: str, run: str) -> str | None:
    """Where Airflow shows the run; None if nobody says where Airflow is."""
    base = environment.get("AIRFLOW__API__BASE_URL")
    return f"{base.rstrip('/')}/dags/{dag}/runs/{quote(run, safe='')}" if base else None


def find_task_logs(folder: Path, dag: str, run: str) -> list[TaskLog]:
    """The logs of a run in the order of its tasks; none where it wrote none yet, or not here."""
    run_folder = folder / f"dag_id={dag}" / f"run_id={run}"
    logs: list[TaskLog] = []
    for path in run_folder.glob("task_id=*/**/attempt=*.log"):
        match = _LOG.fullmatch(path.relative_to(run_folder).as_posix())
        if match:
            index = int(match["index"]) if match["index"] else None
            logs.append(TaskLog(path, match["task"], index, int(match["attempt"])))
    return sorted(logs, key=_order_of)


def read_lines(content: str) -> Iterator[LogLine]:
    """The lines of a log: Airflow writes JSON, and whatever else a task printed."""
    for line in content.splitlines():
        yield _parse_line(line)


def _order_of(log: TaskLog) -> tuple[int, str, int, int]:
    place = ORDER.index(log.task) if log.task in ORDER else len(ORDER)
    return place, log.task, log.map_index or 0, log.attempt


def _parse_line(line: str) -> LogLine:
    try:
        fields = json.loads(line)
        text = str(fields["event"])
        at = datetime.fromisoformat(fields["timestamp"])
    except (ValueError, TypeError, KeyError):
        return LogLine(None, "", line)
    for detail in fields.get("error_detail") or ():
        if isinstance(detail, dict):
            text += f": {detail.get('exc_type')}: {one_line(detail.get('exc_value'))}"
    return LogLine(at, str(fields.get("level", "")), text, str(fields.get("logger", "")))
