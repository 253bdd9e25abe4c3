"""Environments: a Python with other packages, or another DuckDB, for the tables that ask for them.

An environment is a virtual environment, built once for its requirements and kept by their hash. Its own packages come
first and then those of the Python that built it, so that a table's DuckDB wins and ``reloads`` is found.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reloads.errors import OperatorError, ReloadsError, TableError, one_line, shorten
from reloads.files import write_atomically
from reloads.rewriting.subprocess_call import variables

log = logging.getLogger(__name__)

_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar=off", "--")


@dataclass(frozen=True)
class VirtualEnvironment:
    """What an environment is made of and where it is; it may not be built yet."""

    requirements: tuple[str, ...]
    home: Path

    @classmethod
    def of(cls, requirements: Sequence[str], *, folder: Path) -> VirtualEnvironment:
        """The environment of these requirements, in any order, for the Python that asks."""
        wanted = tuple(sorted({" ".join(requirement.split()) for requirement in requirements}))
        made_of = [wanted, sys.version, sysconfig.get_config_var("SOABI"), sys.base_prefix, _folders_of_packages()]
        digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
        return cls(wanted, folder.absolute() / digest[:16])

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
    """The Python of an environment with these requirements, below ``folder``, built if it is not there.

    However many tasks ask at once, one builds and the others wait; nobody is given a half-built one.
    """
    environment = VirtualEnvironment.of(requirements, folder=folder)
    try:
        if not environment.complete.exists():
            with _locked(environment.home.with_suffix(".lock")) as lock:
                if not environment.complete.exists():
                    _build(environment, lock)
    except OSError as error:
        raise OperatorError(f"{folder} cannot be written ({error.strerror}); make room or grant access") from error
    return environment.python


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _build(environment: VirtualEnvironment, lock: int) -> None:
    requirements = list(environment.requirements)
    log.info("building an environment with %s in %s", requirements, environment.home)
    if environment.home.exists():
        shutil.rmtree(environment.home)
    failed = f"the environment of requirements {requirements} cannot be made"
    if said := _run(Path(sys.executable), "-m", "venv", str(environment.home), environment=environment, lock=lock):
        raise OperatorError(f"{failed} ({shorten(said[-1], 300)}); install Python with venv and ensurepip")
    if requirements and (said := _run(environment.python, *_PIP, *requirements, environment=environment, lock=lock)):
        raise _refused(requirements, said)
    # After the installation, so that pip takes nothing of the other folders for installed.
    (environment.packages / "reloads.pth").write_text("\n".join(_folders_of_packages()) + "\n", encoding="utf-8")
    write_atomically(environment.complete, "\n".join(requirements) + "\n")


def _run(python: Path, *arguments: str, environment: VirtualEnvironment, lock: int) -> list[str]:
    """Run a step of the building; returns what it said if it failed, or else nothing."""
    done = subprocess.run(  # noqa: S603  the program is a Python of ours
        [python, "-I", *arguments],
        env=variables() | {"PIP_CACHE_DIR": str(environment.home.parent / ".cache"), "PIP_USER": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # Should this process be killed, the step goes on for a while; nobody may build in its place until it ended.
        pass_fds=[lock],
        check=False,
        encoding="utf-8",
        errors="replace",
    )
    said = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return (said or [f"it ended with {done.returncode}"]) if done.returncode else []


def _refused(requirements: list[str], said: list[str]) -> ReloadsError:
    errors = [line for line in said if line.lower().startswith("error: ")] or said
    why = shorten(one_line(errors[-1][len("error: ") :] if errors is not said else errors[-1]), 300)
    if why.startswith("Invalid requirement"):
        return TableError(f"requirements {requirements} cannot be read ({why}); write each like 'duckdb==1.5.5'")
    return OperatorError(
        f"requirements {requirements} cannot be installed ({why}); "
        "check names and versions, and that this machine reaches its package index"
    )


def _folders_of_packages() -> list[str]:
    """Where this Python finds packages, and where it finds this one, which may be installed as a link to its source."""
    installed = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    return list(dict.fromkeys([*installed, str(Path(__file__).resolve().parents[2])]))
