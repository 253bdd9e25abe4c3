"""Programs run as commands."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path


def run_command(*command: str, folder: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """What the command prints; raises ``RuntimeError`` with what it says if it fails."""
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {process.stderr}{process.stdout}")
    return process.stdout
