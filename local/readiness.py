"""Waiting until everything answers, and saying which log to read if it does not."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from local.errors import LocalError
from local.files import last_lines
from local.postgres import is_answering
from local.processes import DATABASE
from local.stack import Stack
from local.waiting import wait_until
from reloads.tables.definition import table_names

# Long, for a busy machine; what ends again and again is noticed at once.
DATABASE_SECONDS = 120
HEALTH_SECONDS = 300
DAGS_SECONDS = 120
ERRORS_COUNT_AFTER_SECONDS = 15
MANY_STARTS = 3
UPSTREAM = "request_partitions"


def await_database(stack: Stack) -> None:
    """Return when the database takes connections."""
    check = _restarts(stack)
    if not wait_until(lambda: check() or is_answering(stack.database_url), seconds=DATABASE_SECONDS):
        raise LocalError(_read(stack, DATABASE, f"does not answer after {DATABASE_SECONDS} seconds"))


def await_health(stack: Stack, *, since: datetime) -> None:
    """Return when every component has given a sign of life after ``since``."""
    api, check = stack.api, _restarts(stack)
    silent: list[str] = []

    def is_healthy() -> bool:
        nonlocal silent
        check()
        silent = api.silent_components(since)
        return not silent

    if not wait_until(is_healthy, seconds=HEALTH_SECONDS):
        raise LocalError(_read(stack, silent[0], f"does not answer after {HEALTH_SECONDS} seconds"))


def await_dags(stack: Stack, *, since: datetime, say: Callable[[str], None]) -> None:
    """Return when every DAG that should be there was read after ``since``; says which are broken or paused."""
    api = stack.api
    expected = {UPSTREAM, *(f"rewrite_{name}" for name in table_names(stack.settings.tables))}
    began, missing, errors = time.monotonic(), expected, dict[str, str]()

    def is_read() -> bool:
        nonlocal missing, errors
        missing = expected - {dag.dag_id for dag in api.dags() if dag.parsed_at >= since}
        errors = api.import_errors()
        # An error may be from before, until its file was read again.
        return not missing or (bool(errors) and time.monotonic() - began > ERRORS_COUNT_AFTER_SECONDS)

    wait_until(is_read, seconds=DAGS_SECONDS)
    for file, error in errors.items():
        say(f"{file}: {error}")
    if missing and not errors:
        raise LocalError(_read(stack, "dag-processor", f"has not read {', '.join(sorted(missing))}"))
    if UPSTREAM in missing:
        raise LocalError(f"{UPSTREAM} cannot be read; mend the file named above, then run up again")
    if paused := sorted(dag.dag_id for dag in api.dags() if dag.is_paused and dag.dag_id in expected):
        say(f"paused, as they were left: {', '.join(paused)}; switch them on in the user interface")


def _restarts(stack: Stack) -> Callable[[], bool]:
    """A check, to be called now and then, that raises ``LocalError`` once a program ends again and again."""
    starts: defaultdict[str, set[int]] = defaultdict(set)

    def check() -> bool:
        for program in stack.supervisor.programs():
            starts[program.name] |= {program.started_at} - {0}
            if program.state == "FATAL" or len(starts[program.name]) > MANY_STARTS:
                raise LocalError(_read(stack, program.name, "ends again and again"))
        return False

    return check


def _read(stack: Stack, program: str, problem: str) -> str:
    log = stack.log(program)
    return f"{program} {problem}; mend what {log} says last, then run up again:\n{last_lines(log)}"
