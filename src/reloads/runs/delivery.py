"""Handing messages to one URL, by Apprise, in a process of its own.

That process can be ended whatever a library waits for. What Apprise and what is below it log, with URLs in it, goes
nowhere; and no command line or environment shows the URL, which is written to its input.
"""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

from reloads.errors import one_line, printable, shorten
from reloads.runs.messages import Message
from reloads.runs.receivers import Receiver

SECONDS = 45.0
"""So long a process may take. Apprise itself waits 4 s for an answer."""

MESSAGES_AT_ONCE = 10
MISSING = "Apprise is not installed; install reloads[notify]"


def is_apprise_installed() -> bool:
    """Whether messages can be sent at all."""
    return find_spec("apprise") is not None


def deliver(receiver: Receiver, messages: Sequence[Message], *, seconds: float = SECONDS) -> tuple[int, str | None]:
    """Hand over the messages in their order; how many were taken, and why the next was not.

    None means that all were taken. The sentence holds nothing of the URL.
    """
    url = receiver.url.get_secret_value()
    texts = [{"title": each.title, "body": each.body, "level": each.level} for each in messages]
    command = [sys.executable, "-I", "-X", "utf8", "-m", "reloads.runs.delivery"]
    try:
        child = subprocess.run(  # noqa: S603 - a Python of ours
            command,
            input=json.dumps({"url": url, "messages": texts}).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
        answers, fault = child.stdout, f"its process ended with {child.returncode}"
    except subprocess.TimeoutExpired as error:
        answers, fault = error.stdout or b"", f"no answer within {seconds:.0f} s"
    except OSError as error:
        return 0, f"its process cannot be started ({error.strerror})"
    taken = 0
    # The last line may be cut off, with the process.
    for line in answers.split(b"\n")[:-1]:
        reason = json.loads(line)["fault"]
        if reason:
            return taken, printable(shorten(mask(one_line(reason), url), 200))
        taken += 1
    return taken, None if taken == len(messages) else fault


def mask(text: str, url: str) -> str:
    """The text without any part of the URL that may be a secret."""
    scheme, _, rest = url.partition("://")
    for part in sorted({url, rest, *re.split(r"[/:@?&=,]+", rest)}, key=len, reverse=True):
        if len(part) > 2 or part == rest:  # noqa: PLR2004 - what is shorter stands in any word
            text = text.replace(part, "***") if part and part != scheme else text
    return text


def _answer(value: dict[str, Any]) -> None:
    """Send the messages one after another, and print a line for each; the first that is not taken ends it."""
    for message in value["messages"]:
        fault = _send(value["url"], message)
        print(json.dumps({"fault": fault}), flush=True)  # noqa: T201 - it goes to the process that waits
        if fault:
            return


def _send(url: str, message: dict[str, str]) -> str | None:
    if not is_apprise_installed():
        return MISSING
    import apprise

    complaints = _Complaints()
    logger = logging.getLogger("apprise")
    logger.handlers, logger.propagate = [complaints], False
    asset = apprise.AppriseAsset(app_id="Reloads", app_desc="Reloads")
    sender = apprise.Apprise(asset=asset)
    if not sender.add(url):
        return "it is not a URL that Apprise knows"
    try:
        # Whatever a plugin prints is not an answer.
        with redirect_stdout(sys.stderr):
            is_taken = sender.notify(
                body=message["body"], title=message["title"], notify_type=_LEVELS[message["level"]]
            )
    except Exception as error:  # noqa: BLE001 - whatever a plugin of Apprise raises
        return type(error).__name__
    return None if is_taken else complaints.last or "it was not taken"


_LEVELS = {"failure": "failure", "warning": "warning", "success": "success"}


class _Complaints(logging.Handler):
    """Keeps the last thing that Apprise complained of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.last = record.getMessage()


if __name__ == "__main__":
    _answer(json.load(sys.stdin))
