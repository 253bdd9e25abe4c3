"""Waiting until Airflow knows the DAGs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from containers.errors import StackError
from local.api import Api
from local.errors import LocalError
from local.waiting import wait_until

SECONDS = 90
LOGS = "look at `docker compose logs"
TABLE = re.compile(r"[a-z][a-z0-9_]*")


def await_dags(url: str, *, password: str, tables: Path, say: Callable[[str], None]) -> None:
    """Return when every DAG that should be there is; says which tables are broken and which DAGs are paused."""
    api = Api(url, user="admin", password=password)
    names = (folder.name for folder in tables.iterdir() if folder.is_dir() and TABLE.fullmatch(folder.name))
    expected = {"request_partitions", "reloads_maintain", *(f"rewrite_{name}" for name in names)}

    def are_there() -> bool:
        return expected <= {dag.dag_id for dag in api.dags()}

    try:
        if not wait_until(are_there, seconds=SECONDS, every=0.5):
            missing = ", ".join(sorted(expected - {dag.dag_id for dag in api.dags()}))
            errors = [f"\n  {file}: {error}" for file, error in api.import_errors().items()]
            raise StackError(f"Airflow has not read {missing}; {LOGS} dag-processor`{''.join(errors)}")
        for file, error in api.import_errors().items():
            say(f"{file}: {error}")
        if paused := sorted(dag.dag_id for dag in api.dags() if dag.is_paused and dag.dag_id in expected):
            say(f"paused, as they were left: {', '.join(paused)}; switch them on in the user interface")
    except LocalError as error:
        raise StackError(f"{url} does not answer as it should ({error}); {LOGS} api-server`") from error
