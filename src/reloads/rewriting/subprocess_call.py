"""A call to a module in another Python: a value goes there, log lines come back while it runs, and then its answer.

``call_subprocess`` is the calling side, ``answer_call`` the called one. A ``ReloadsError`` raised there is raised here.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from threading import Event, Timer
from typing import Any

from reloads.errors import OperatorError, QueryError, ReloadsError, RequestError, TableError, one_line, shorten

log = logging.getLogger(__name__)

_KINDS = {kind.__name__: kind for kind in (ReloadsError, RequestError, TableError, QueryError, OperatorError)}
_PR_SET_PDEATHSIG = 1
"""The number of Linux's ``prctl`` option that sends a signal to a process when its parent ends."""
# They would lead an environment's Python to other packages, or pip to another target.
_MISLEADING_VARIABLES = {"VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER"}


def call_subprocess(
    python: Path, module: str, value: dict[str, Any], *, seconds: float | None = None
) -> dict[str, Any]:
    """Run ``python -m module`` with ``value`` and return its answer; the module calls ``answer_call``.

    What it logs or prints goes to our log line by line. A ``ReloadsError`` that it raises is raised here; if it ends
    without an answer, that is an ``OperatorError``. It is killed when this call is left and when this process ends, and
    after so many ``seconds``: that is a ``TimeoutError``, unless it has answered.
    """
    is_late = Event()
    try:
        # Files and not pipes: neither side ever waits for the other to read.
        with TemporaryFile() as value_file, TemporaryFile() as reply_file:
            value_file.write(json.dumps(value).encode())
            value_file.seek(0)
            arguments = ["-I", "-u", "-X", "utf8", "-m", module, str(reply_file.fileno()), str(os.getpid())]
            child = subprocess.Popen(  # noqa: S603  the program is a Python of ours
                [python, *arguments],
                env=inherited_variables(),
                stdin=value_file,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[reply_file.fileno()],
                encoding="utf-8",
                errors="replace",
            )
            with child, _ended_after(child, seconds, is_late):
                last_line = _log_lines(child)
            reply_file.seek(0)
            reply = reply_file.read()
    except OSError as error:
        raise OperatorError(f"{module} cannot be run with {python} ({error.strerror}); {_cure(python)}") from error
    if is_late.is_set() and not reply:
        raise TimeoutError(f"{module} took longer than {seconds:g} s")
    return _parse_reply(reply, _describe_end(python, module, child.returncode, last_line))


@contextmanager
def _ended_after(child: subprocess.Popen[str], seconds: float | None, is_late: Event) -> Iterator[None]:
    """Kill the child if the block lasts longer than that."""
    if seconds is None:
        yield
        return

    def end() -> None:
        is_late.set()
        child.kill()

    timer = Timer(seconds, end)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


def _log_lines(child: subprocess.Popen[str]) -> str:
    """Log what the child says until it ends; returns the last line."""
    last_line = ""
    levels = logging.getLevelNamesMapping()
    try:
        for raw_line in child.stdout or []:
            line = raw_line.rstrip()
            if not line:
                continue
            name, _, text = line.partition(" ")
            level = levels.get(name)
            if level:
                log.log(level, "%s", text)
            else:
                log.info("%s", line)
            last_line = line
        child.wait()
    except BaseException:
        child.kill()
        raise
    return last_line


def _parse_reply(reply: bytes, end: str) -> dict[str, Any]:
    """The answer in the reply; raises the error in it, or ``OperatorError`` with ``end`` for one that is not whole."""
    # A whole answer stands, however the interpreter ended after it: the work is done.
    try:
        content: dict[str, Any] = json.loads(reply)
    except ValueError as error:
        raise OperatorError(end) from error
    if error_fields := content.get("error"):
        raise _KINDS[error_fields["kind"]](error_fields["message"])
    answer: dict[str, Any] = content["answer"]
    return answer


def _describe_end(python: Path, module: str, code: int, last_line: str) -> str:
    if code < 0:
        end = f"{module} was ended by signal {-code} ({signal.strsignal(-code)})"
        return f"{end}; if nobody stopped it, give it more memory or run fewer tasks at once"
    reason = shorten(one_line(last_line), 300) or f"exit code {code}"
    return f"{module} ended without an answer ({reason}); {_cure(python)}"


def _cure(python: Path) -> str:
    return f"mend its requirements, or remove {python.parent.parent} to have that environment built anew"


def answer_call(handle: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Answer ``call_subprocess`` with what ``handle`` returns; for the end of the module that it runs."""
    reply_descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(reply_descriptor, False)
    _end_with(parent)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        reply = {"answer": handle(json.load(sys.stdin.buffer))}
    except ReloadsError as error:
        # The nearest class that the calling side knows.
        kind = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _KINDS)
        reply = {"error": {"kind": kind, "message": str(error)}}
    text = json.dumps(reply)
    with os.fdopen(reply_descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _end_with(parent: int) -> None:
    """Have the kernel kill this process as soon as its parent ends, however that ends, so that no orphan publishes."""
    if sys.platform == "linux":  # elsewhere an orphan finishes its batch
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
    if os.getppid() != parent:  # the parent ended before the kernel knew
        raise SystemExit(1)


def inherited_variables() -> dict[str, str]:
    """The environment variables of this process without those that mislead another Python."""
    names = [name for name in os.environ if not name.startswith("PYTHON") and name not in _MISLEADING_VARIABLES]
    return {name: os.environ[name] for name in names}
