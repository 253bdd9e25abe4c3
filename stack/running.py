"""A stack that is up, as the demo sees it: the same for the processes here and for the containers."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack.api import Api
from stack.errors import StackError

PAGE = "/plugin/reloads"
"""Where the user interface shows every day of every table."""


@dataclass(frozen=True)
class RunningStack:
    """Airflow's API, the folders of the host, and how to run the command ``reloads`` where the pipeline runs.

    ``login``, ``start_command`` and ``stop_command`` are for a person to read.
    """

    api: Api
    clone: Path
    landing: Path
    warehouse: Path
    source: Path
    reloads: tuple[str, ...]
    environment: Mapping[str, str]
    login: str
    start_command: str
    stop_command: str

    def run_reloads(self, *arguments: str) -> None:
        """Run ``reloads`` as the pipeline's own user; raises ``StackError`` with what it says if it fails."""
        completed = subprocess.run(
            [*self.reloads, *arguments],
            cwd=self.clone,
            env=dict(self.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        if completed.returncode != 0:
            lines = completed.stderr.strip().splitlines() or ["it says nothing"]
            raise StackError(f"`reloads {' '.join(arguments)}` failed: {lines[-1]}; mend that, then try again")
