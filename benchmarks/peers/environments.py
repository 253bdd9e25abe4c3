"""Virtual environments of peers that come from the package index, each with what its requirements pin.

`requirements.txt` is `requirements.in` compiled as `make lock` compiles those of the pipeline.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.readings import FOLDER, QUERY, READINGS, SHIFT, Span
from benchmarks.peers.rounds import NotInstalledError
from benchmarks.readings import CLONE

PROJECTS = Path(__file__).parent / "projects"
UV = Path(sys.executable).with_name("uv")


@dataclass(frozen=True)
class Project:
    """A peer's project: its files in the repository, its folder, and its programs."""

    name: str
    span: Span

    @property
    def folder(self) -> Path:
        """Where the project lies while it is measured."""
        return FOLDER / self.name / "project"

    @property
    def target(self) -> Path:
        """What it writes: a folder of Parquet files, or a database."""
        return FOLDER / self.name / "warehouse"

    @property
    def database(self) -> Path:
        """The DuckDB database of a peer that writes into one."""
        return self.target / "warehouse.duckdb"

    @property
    def environment(self) -> Path:
        """Its virtual environment."""
        return FOLDER / self.name / "venv"

    def lay_out(self) -> None:
        """Install what it needs, and begin afresh: with the project's files, and nothing written.

        Raises ``NotInstalledError``.
        """
        _install(self.environment, PROJECTS / self.name / "requirements.txt")
        for folder in (self.folder, self.target):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(PROJECTS / self.name, self.folder)
        self.target.mkdir(parents=True)

    def run(self, *command: str, settings: Mapping[str, str]) -> None:
        """Run one of its programs in its folder; raises ``SystemExit`` with the end of what it said if it fails."""
        program, *arguments = command
        done = subprocess.run(
            [str(self.environment / "bin" / program), *arguments],
            cwd=self.folder,
            env=_inherited() | peer_variables(self.span, self.target) | dict(settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"`{' '.join(command)}` failed in {self.folder}:\n{done.stdout[-4000:]}\n{done.stderr}")


def peer_variables(span: Span, target: Path) -> dict[str, str]:
    """What a peer's project learns from its environment."""
    return {
        "PEERS_READINGS": str(READINGS),
        "PEERS_SHIFT": str(SHIFT),
        "PEERS_QUERY": str(QUERY),
        "PEERS_TARGET": str(target),
        "PEERS_FIRST_DAY": str(span.first),
        "PEERS_LAST_DAY": str(span.last),
    }


def _install(venv: Path, requirements: Path) -> None:
    """Make the environment as it is pinned, unless it is there so; raises ``NotInstalledError``."""
    installed = venv / requirements.name
    if installed.exists() and installed.read_text() == requirements.read_text():
        return
    print(f"installing {venv}", flush=True)
    python = str(venv / "bin" / "python")
    _run_uv("venv", "--clear", "--python", sys.executable, str(venv))
    _run_uv("pip", "install", "--require-hashes", "--python", python, "--requirements", str(requirements))
    shutil.copy(requirements, installed)


def _run_uv(*arguments: str) -> None:
    cache = {"UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR", str(CLONE / ".local" / "cache" / "uv"))}
    command: Sequence[str] = [str(UV), "--quiet", *arguments]
    try:
        done = subprocess.run(command, env=_inherited() | cache, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotInstalledError("uv is missing; `make check` installs it") from error
    if done.returncode:
        print(done.stderr, flush=True)
        raise NotInstalledError("it cannot be installed; read why in what uv says when the benchmark runs")


def _inherited() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
