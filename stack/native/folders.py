"""Where the files of one stack lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Folders:
    """Everything is written below ``home``; ``clone`` holds the code and is only read. Both are absolute."""

    home: Path
    clone: Path

    @property
    def local(self) -> Path:
        """What the stack keeps for itself; deleting it while nothing runs starts afresh."""
        return self.home / ".local"

    @property
    def airflow(self) -> Path:
        """``AIRFLOW_HOME``: task logs and the files Airflow makes."""
        return self.local / "airflow"

    @property
    def postgres(self) -> Path:
        """The data folder of the database."""
        return self.local / "postgres"

    @property
    def logs(self) -> Path:
        """The logs of the processes."""
        return self.local / "logs"

    def make(self) -> None:
        """Create what the stack writes into; ``.local`` holds credentials and logs and is the owner's alone."""
        self.local.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.airflow, self.logs, self.local / "tmp", self.local / "cache", self.home / "landing"):
            folder.mkdir(parents=True, exist_ok=True)
