"""The command line in this process: arguments in; what is printed, and the exit code, out."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, tzinfo
from io import BytesIO, TextIOWrapper
from typing import Any
from unittest.mock import patch

from reloads.cli import console
from reloads.cli.main import main


@dataclass(frozen=True)
class Printed:
    """What a call of the command came to."""

    out: str
    err: str
    code: int

    @property
    def lines(self) -> list[str]:
        """The lines of standard output."""
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        """Standard output, which is one document."""
        return json.loads(self.out)


class _Stream(TextIOWrapper):
    """Standard output of a terminal or of a pipe, as bytes would have it: a lone surrogate is an error."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__(BytesIO(), encoding="utf-8", newline="", write_through=True)
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def text(self) -> str:
        """What was written."""
        self.flush()
        written: BytesIO = self.buffer  # type: ignore[assignment]
        return written.getvalue().decode()


def call(
    *arguments: str,
    width: int | None = None,
    clock: Callable[[], datetime] = console.utc_now,
    zone: tzinfo | None = None,
) -> Printed:
    """Run ``reloads`` with these arguments: in a terminal of that width, which has no colours, or in a pipe."""
    out, err = _Stream(is_terminal=width is not None), _Stream(is_terminal=width is not None)
    session = console.Session(clock=clock, zone=zone)
    environment = {"COLUMNS": str(width or 80), "NO_COLOR": "1", "TERM": "dumb"}
    with (
        patch.dict("os.environ", environment),
        patch.multiple(console.session, **vars(session)),
        patch.object(sys, "argv", ["reloads", *arguments]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    return Printed(out.text, err.text, int(code or 0))
