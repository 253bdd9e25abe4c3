"""Whether Airflow is ready: it lets nobody in without a login, and has read the DAGs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from stack.api import Api
from stack.errors import StackError
from stack.waiting import wait_until

SECONDS = 120
ERRORS_COUNT_AFTER_SECONDS = 15
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
UPSTREAM = "request_partitions"
# As the core has it; written again here, because this module runs where the core is not installed.
TABLE = re.compile(r"[a-z][a-z0-9_]{0,62}")


def expected_dags(tables: Path) -> set[str]:
    """The DAGs that there should be: one for each folder below ``tables`` that is named like a table, and two more."""
    names = [folder.name for folder in tables.iterdir() if folder.is_dir() and TABLE.fullmatch(folder.name)]
    return {UPSTREAM, "reloads_maintain", *(f"rewrite_{name}" for name in names)}


def require_login(api: Api, *, advice: str) -> None:
    """Raise ``StackError`` where the API server answers without a login; ``advice`` says where to read why."""
    if not api.needs_login():
        raise StackError(f"the API server answers without a login, so it lacks the plugin login_first; {advice}")


def await_dags(
    api: Api, *, tables: Path, since: datetime, advice: Callable[[], str], say: Callable[[str], None]
) -> None:
    """Return when every DAG that should be there was read after ``since``; says which are broken or paused.

    Raises ``StackError`` if one is missing and nothing says why, or if none takes requests. ``advice`` says where to
    read what the DAG processor says.
    """
    expected = expected_dags(tables)
    began, missing, errors = time.monotonic(), expected, dict[str, str]()

    def are_read() -> bool:
        nonlocal missing, errors
        missing = expected - {dag.dag_id for dag in api.dags() if dag.parsed_at >= since}
        errors = api.import_errors()
        # An error may be from before, until its file was read again.
        return not missing or (bool(errors) and time.monotonic() - began > ERRORS_COUNT_AFTER_SECONDS)

    wait_until(are_read, seconds=SECONDS)
    for file, error in errors.items():
        say(f"{file}: {error}")
    if missing and not errors:
        raise StackError(f"Airflow has not read {', '.join(sorted(missing))}; {advice()}")
    if UPSTREAM in missing:
        raise StackError(f"{UPSTREAM} cannot be read; mend the file named above, then try again")
    paused = sorted(dag.dag_id for dag in api.dags() if dag.is_paused and dag.dag_id in expected)
    if paused:
        say(f"paused, as they were left: {', '.join(paused)}; switch them on in the user interface")
