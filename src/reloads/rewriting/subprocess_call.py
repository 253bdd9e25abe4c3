"""Work in another Python: a value goes to a module run there, log lines come back while it runs, and then its answer.

``call_subprocess`` is this side, ``answer`` the other. An error of ours that is raised there is raised here.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from reloads.errors import OperatorError, QueryError, ReloadsError, RequestError, TableError, one_line, shorten

log = logging.getLogger(__name__)

_KINDS = {kind.__name__: kind for kind in (ReloadsError, RequestError, TableError, QueryError, OperatorError)}
_PR_SET_PDEATHSIG = 1
# They would lead an environment's Python to packages elsewhere, or pip to another target.
_SPOILING = {"VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER"}


def call_subprocess(python: Path, module: str, value: dict[str, Any]) -> dict[str, Any]:
    """Run ``python -m module`` with ``value`` and return its answer; the module calls ``answer``.

    What it logs or prints goes to our log line by line. Errors of ours that it raises are raised here; if it ends
    without an answer that is an ``OperatorError``. It is killed when this call is left and when this process ends.
    """
    try:
        # Files and not pipes: neither side ever waits for the other to read.
        with TemporaryFile() as asked, TemporaryFile() as replied:
            asked.write(json.dumps(value).encode())
            asked.seek(0)
            arguments = ["-I", "-u", "-X", "utf8", "-m", module, str(replied.fileno()), str(os.getpid())]
            with subprocess.Popen(  # noqa: S603  the program is a Python of ours
                [python, *arguments],
                env=variables(),
                stdin=asked,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[replied.fileno()],
                encoding="utf-8",
                errors="replace",
            ) as child:
                last = _log_lines(child)
            replied.seek(0)
            reply = replied.read()
    except OSError as error:
        raise OperatorError(f"{module} cannot be run with {python} ({error.strerror}); {_cure(python)}") from error
    return _answer_in(reply, _how_it_ended(python, module, child.returncode, last))


def _log_lines(child: subprocess.Popen[str]) -> str:
    """Log what the child says until it ends; returns the last line."""
    last = ""
    levels = logging.getLevelNamesMapping()
    try:
        for line in filter(None, map(str.rstrip, child.stdout or [])):
            name, _, text = line.partition(" ")
            level = levels.get(name)
            log.log(level or logging.INFO, "%s", text if level else line)
            last = line
        child.wait()
    except BaseException:
        child.kill()
        raise
    return last


def _answer_in(reply: bytes, how_it_ended: str) -> dict[str, Any]:
    # A whole answer stands, however the interpreter ended after it: the work is done.
    try:
        answered: dict[str, Any] = json.loads(reply)
    except ValueError as error:
        raise OperatorError(how_it_ended) from error
    if ours := answered.get("error"):
        raise _KINDS[ours["kind"]](ours["message"])
    found: dict[str, Any] = answered["answer"]
    return found


def _how_it_ended(python: Path, module: str, code: int, last: str) -> str:
    if code < 0:
        how = f"{module} was ended by signal {-code} ({signal.strsignal(-code)})"
        return f"{how}; if nobody stopped it, give it more memory or run fewer tasks at once"
    return f"{module} ended without an answer ({shorten(one_line(last), 300) or f'exit code {code}'}); {_cure(python)}"


def _cure(python: Path) -> str:
    return f"mend its requirements, or remove {python.parent.parent} to have that environment built anew"


def answer_call(handle: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The other side of ``call_subprocess``, for the end of a module that it runs: answer what ``handle`` returns."""
    replied, parent = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(replied, False)
    _end_with(parent)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        reply = {"answer": handle(json.load(sys.stdin.buffer))}
    except ReloadsError as error:
        kind = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _KINDS)
        reply = {"error": {"kind": kind, "message": str(error)}}
    text = json.dumps(reply)
    with os.fdopen(replied, "w", encoding="utf-8") as file:
        file.write(text)


def _end_with(parent: int) -> None:
    """Have the kernel kill this process as soon as its parent ends, however that ends, so that no orphan publishes."""
    if sys.platform == "linux":  # elsewhere an orphan finishes its batch
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # it ended before the kernel knew
        raise SystemExit(1)


def variables() -> dict[str, str]:
    """The environment variables of this process without those that spoil another Python."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON") and k not in _SPOILING}
