"""What all commands share: settings, time and user, how they print, and how an error becomes a sentence and a code.

A command returns an ``Answer``; ``show`` prints it as a table, as plain lines or as JSON, whichever fits. Nothing else
in this room prints, so whatever a person wrote is escaped before a terminal sees it.
"""

from __future__ import annotations

import getpass
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import NoReturn

from reloads.cli.answer import Answer
from reloads.errors import printable
from reloads.settings import Settings

TOLD_BY_OUTCOME = ("reloads.runs.plan_step", "reloads.runs.rewrite_step", "reloads.rewriting")


def utc_now() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


@dataclass
class Session:
    """One call of the command: in which form it answers, and what it takes from outside."""

    as_json: bool = False
    clock: Callable[[], datetime] = utc_now
    zone: tzinfo | None = None
    """In which times are shown; None is the zone of the person's system, or of ``TZ``."""


session = Session()
"""The one of this process."""


def current_settings() -> Settings:
    """The settings of this process's environment."""
    return Settings.from_environment(os.environ)


def current_time() -> datetime:
    """The time, aware."""
    return session.clock()


def current_user() -> str | None:
    """Who runs the command, if the system knows."""
    with suppress(KeyError, OSError):
        return getpass.getuser()
    return None


def is_terminal() -> bool:
    """Whether a person reads what is printed."""
    return sys.stdout.isatty()


def show(answer: Answer) -> None:
    """Print the answer in the form that was asked for, or that fits."""
    from reloads.cli import screen

    if session.as_json:
        _write(screen.to_json(answer.value) + "\n", is_last=True)
    elif is_terminal():
        text = screen.draw(answer, width=_width(), zone=session.zone, has_colors=_has_colors())
        _write(text, is_last=True)
    else:
        for line in screen.plain_lines(answer, zone=session.zone):
            _write(line + "\n")
        _write("", is_last=True)


def say(line: str) -> None:
    """Print one line, whatever it holds: what would end it or steer the terminal is escaped."""
    _write(printable(line) + "\n")


def announce(line: str) -> None:
    """Print a line at once, before the answer is there; beside a JSON document, to standard error."""
    if session.as_json:
        complain(line)
    else:
        _write(printable(line) + "\n", is_last=True)


def complain(line: str) -> None:
    """Print one line to standard error, as ``say`` does; in a terminal no word of it is broken."""
    from reloads.cli.screen import wrap_words

    lines = wrap_words(printable(line), _width()) if sys.stderr.isatty() else [printable(line)]
    print("\n".join(lines), file=sys.stderr)  # noqa: T201


def say_csv(lines: Iterable[str]) -> None:
    """Print CSV: to a program as it is, where a line may be several, and to a terminal as ``say`` does."""
    for line in lines:
        _write((printable(line) if is_terminal() else line) + "\n")
    _write("", is_last=True)


def _write(text: str, *, is_last: bool = False) -> None:
    """Print the text; nothing more where whoever read has seen enough, as ``head`` has: that is no failure."""
    try:
        sys.stdout.write(text)
        if is_last:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python would complain when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _width() -> int:
    return shutil.get_terminal_size().columns


def _has_colors() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"


class LogLines(logging.Handler):
    """Shows what the core logs as one line to standard error, but for what the outcome of a request says.

    What libraries log is no sentence for a person: whatever concerns one comes as an error.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message."""
        if record.name.startswith("reloads.") and not record.name.startswith(TOLD_BY_OUTCOME):
            complain(record.getMessage())


def end_with(sentence: str, code: int) -> NoReturn:
    """End the command with a sentence: to standard error, or as a JSON document."""
    if session.as_json:
        show(Answer({"error": sentence, "exit_code": int(code)}))
    else:
        complain(f"reloads: {sentence}")
    sys.exit(code)
