"""Airflow's settings that both stacks share, read from `airflow.env`; Docker Compose reads the same file by itself."""

from __future__ import annotations

import re
from pathlib import Path

from stack.errors import StackError

FILE = Path(__file__).with_name("airflow.env")
# Only what Python and Compose read alike: Compose takes quotes off, fills in `$` and cuts a value at ` #`.
LINE = re.compile(r"(AIRFLOW__[A-Z_]+__[A-Z_]+)=([\w.:/-]+)", re.ASCII)


def read_shared_settings(file: Path = FILE) -> dict[str, str]:
    """The environment variables; raises ``StackError`` with the line that is neither one, a comment nor empty."""
    settings = {}
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        if not line or line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if match is None:
            raise StackError(f"{file}:{number}: {line!r} is not NAME=value without quotes; write it so")
        settings[match[1]] = match[2]
    return settings
