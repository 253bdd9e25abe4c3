"""Waiting until the database and Airflow's programs answer, and saying which log to read if they do not."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime

from stack.errors import StackError
from stack.files import last_lines
from stack.native.postgres import is_answering
from stack.native.programs import DATABASE
from stack.native.stack import NativeStack
from stack.waiting import wait_until

# Long, for a busy machine; what ends again and again is noticed at once.
DATABASE_SECONDS = 120
HEALTH_SECONDS = 300
MANY_STARTS = 3


def await_database(stack: NativeStack) -> None:
    """Return when the database takes connections."""
    check = _restarts(stack)
    if not wait_until(lambda: check() or is_answering(stack.database_url), seconds=DATABASE_SECONDS):
        raise StackError(_read(stack, DATABASE, f"does not answer after {DATABASE_SECONDS} seconds"))


def await_health(stack: NativeStack, *, since: datetime) -> None:
    """Return when every component has given a sign of life after ``since``."""
    api, check = stack.api, _restarts(stack)
    silent: list[str] = []

    def is_healthy() -> bool:
        nonlocal silent
        check()
        silent = api.silent_components(since)
        return not silent

    if not wait_until(is_healthy, seconds=HEALTH_SECONDS):
        raise StackError(_read(stack, silent[0], f"does not answer after {HEALTH_SECONDS} seconds"))


def _restarts(stack: NativeStack) -> Callable[[], bool]:
    """A check, to be called now and then, that raises ``StackError`` once a program ends again and again."""
    starts: defaultdict[str, set[int]] = defaultdict(set)

    def check() -> bool:
        for program in stack.supervisor.programs():
            starts[program.name] |= {program.started_at} - {0}
            if program.state == "FATAL" or len(starts[program.name]) > MANY_STARTS:
                raise StackError(_read(stack, program.name, "ends again and again"))
        return False

    return check


def log_advice(stack: NativeStack, program: str) -> str:
    """What to do about a program that does not work, with the end of its log."""
    log = stack.log(program)
    return f"mend what {log} says last, then run up again:\n{last_lines(log)}"


def _read(stack: NativeStack, program: str, problem: str) -> str:
    return f"{program} {problem}; {log_advice(stack, program)}"
