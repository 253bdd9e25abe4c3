"""Waiting until everything answers, and saying which log to read if it does not."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from local.errors import LocalError
from local.files import last_lines
from local.stack import Stack
from local.waiting import wait_until
from reloads.table import table_names

HEALTH_SECONDS = 300
DAGS_SECONDS = 90
MANY_STARTS = 3
UPSTREAM = "request_partitions"


def await_health(stack: Stack, *, since: datetime) -> None:
    """Return when every component has given a sign of life after ``since``."""
    api = stack.api
    starts: defaultdict[str, set[int]] = defaultdict(set)
    silent: list[str] = []

    def is_healthy() -> bool:
        nonlocal silent
        for program in stack.supervisor.programs():
            starts[program.name] |= {program.started_at} - {0}
            if program.state == "FATAL" or len(starts[program.name]) > MANY_STARTS:
                raise LocalError(_read(stack, program.name, "ends again and again"))
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
        # An error may be from before, until the file was read again.
        return not missing or (bool(errors) and time.monotonic() - began > DAGS_SECONDS / 6)

    wait_until(is_read, seconds=DAGS_SECONDS)
    for file, error in errors.items():
        say(f"{file}: {error}")
    if UPSTREAM in missing or (missing and not errors):
        names = ", ".join(sorted(missing))
        raise LocalError(_read(stack, "dag-processor", f"has not read {names}"))
    paused = sorted(dag.dag_id for dag in api.dags() if dag.is_paused and dag.dag_id in expected)
    if paused:
        say(f"paused, as they were left: {', '.join(paused)}; switch them on in the user interface")


def _read(stack: Stack, program: str, problem: str) -> str:
    log = stack.log(program)
    return f"{program} {problem}; mend what {log} says last, then run up again:\n{last_lines(log)}"
