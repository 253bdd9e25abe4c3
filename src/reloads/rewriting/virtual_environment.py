"""Virtual environments: a Python with other packages, or another DuckDB, for the tables that ask for them.

An environment is built once for its requirements and kept under their hash. Its own packages come first, then those of
the Python that built it, so that a table's DuckDB wins and ``reloads`` is found.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reloads.errors import OperatorError, ReloadsError, TableError, one_line, shorten
from reloads.files import cannot_write, write_atomically
from reloads.locks import file_lock
from reloads.rewriting.subprocess_call import inherited_variables

log = logging.getLogger(__name__)

_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--")
_SHOWN_OUTPUT = 300
"""Characters of what a failed step printed."""


@dataclass(frozen=True)
class VirtualEnvironment:
    """What an environment is made of and where it is; it may not be built yet."""

    requirements: tuple[str, ...]
    home: Path

    @classmethod
    def of(cls, requirements: Sequence[str], *, folder: Path) -> VirtualEnvironment:
        """The environment of these requirements, in any order, for the Python that runs this."""
        unique = tuple(sorted({" ".join(requirement.split()) for requirement in requirements}))
        # Another Python, or one that was moved, needs an environment of its own.
        python = [sys.version, sysconfig.get_config_var("SOABI"), sys.base_prefix, _package_folders()]
        digest = hashlib.sha256(json.dumps([unique, *python]).encode()).hexdigest()
        return cls(unique, folder.absolute() / digest[:16])

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.home / "bin" / "python"

    @property
    def packages(self) -> Path:
        """The folder of its own packages."""
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.home), "platbase": str(self.home)}))

    @property
    def complete(self) -> Path:
        """The file that is written last: without it the environment is half-built."""
        return self.home / "complete"


def ensure_environment(requirements: Sequence[str], *, folder: Path) -> Path:
    """The Python of an environment with these requirements, below ``folder``, built if it is missing.

    However many tasks ask at once, one builds and the others wait; none is given a half-built environment.
    """
    environment = VirtualEnvironment.of(requirements, folder=folder)
    try:
        if not environment.complete.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with file_lock(environment.home.with_suffix(".lock")) as lock:
                if not environment.complete.exists():
                    _build(environment, lock)
    except OSError as error:
        raise cannot_write(folder, error) from error
    return environment.python


def _build(environment: VirtualEnvironment, lock: int) -> None:
    requirements = list(environment.requirements)
    log.info("building an environment with %s in %s", requirements, environment.home)
    if environment.home.exists():
        shutil.rmtree(environment.home)
    output = _run(Path(sys.executable), "-m", "venv", str(environment.home), environment=environment, lock=lock)
    if output:
        sentence = f"the environment of requirements {requirements} cannot be made"
        raise OperatorError(
            f"{sentence} ({shorten(output[-1], _SHOWN_OUTPUT)}); install Python with venv and ensurepip"
        )
    if requirements:
        output = _run(environment.python, *_PIP, *requirements, environment=environment, lock=lock)
        if output:
            raise _refuse_requirements(requirements, output)
    # After the installation, or pip takes packages of the other folders for installed.
    (environment.packages / "reloads.pth").write_text("\n".join(_package_folders()) + "\n", encoding="utf-8")
    write_atomically(environment.complete, "\n".join(requirements) + "\n")


def _run(python: Path, *arguments: str, environment: VirtualEnvironment, lock: int) -> list[str]:
    """Run a step of the building; returns the lines that it printed if it failed, and none if it did not."""
    process = subprocess.run(  # noqa: S603  the program is a Python of ours
        [python, "-I", *arguments],
        env=inherited_variables() | {"PIP_CACHE_DIR": str(environment.home.parent / ".cache"), "PIP_USER": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # If this process is killed, the step goes on for a while, and holds the lock: nobody builds beside it.
        pass_fds=[lock],
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    if process.returncode == 0:
        return []
    lines = [line.strip() for line in process.stdout.splitlines() if line.strip()]
    return lines or [f"it ended with {process.returncode}"]


def _refuse_requirements(requirements: list[str], output: list[str]) -> ReloadsError:
    reason = output[-1]
    for line in output:
        if line.lower().startswith("error: "):
            reason = line[len("error: ") :]
    reason = shorten(one_line(reason), _SHOWN_OUTPUT)
    if reason.startswith("Invalid requirement"):
        return TableError(f"requirements {requirements} cannot be read ({reason}); write each like 'duckdb==1.5.5'")
    return OperatorError(
        f"requirements {requirements} cannot be installed ({reason}); "
        "check names and versions, and that this machine reaches its package index"
    )


def _package_folders() -> list[str]:
    """Where this Python finds packages, and where it finds this one, which may be installed as a link to its source."""
    installed = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    return list(dict.fromkeys([*installed, str(Path(__file__).resolve().parents[2])]))
