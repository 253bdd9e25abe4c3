"""The package as a wheel, and a fresh virtual environment with it: nothing of the clone is beside it."""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from tests.support.clone import CLONE
from tests.support.command import run_command

UV = (sys.executable, "-m", "uv", "--offline", "--quiet")
LOCKED = CLONE / "requirements" / "image.txt"
AIRFLOW = "#!{python}\nimport sys\nfrom airflow.__main__ import main\nsys.exit(main())\n"


def build_wheel(folder: Path) -> Path:
    """Build the wheel of the clone; what it needs for that is installed already."""
    build = (*UV, "build", "--wheel", "--no-build-isolation", "--python", sys.executable)
    run_command(*build, "--out-dir", str(folder), str(CLONE))
    [wheel] = folder.glob("*.whl")
    return wheel


def install(wheel: Path, venv: Path) -> None:
    """Make a virtual environment with Airflow as it is installed here, which is as the lock file has it, and the wheel.

    The packages are linked or copied, so that this takes seconds, and needs no network.
    """
    run_command(*UV, "venv", "--python", sys.executable, str(venv))
    python = venv / "bin" / "python"
    [site] = venv.glob("lib/python*/site-packages")
    for name in re.findall(r"^([\w.-]+)==", LOCKED.read_text(encoding="utf-8"), re.MULTILINE):
        with suppress(PackageNotFoundError):  # it is for another Python or system
            _copy(distribution(name), site)
    program = venv / "bin" / "airflow"
    program.write_text(AIRFLOW.format(python=python))
    program.chmod(0o755)
    # Without an index it is an error if anything that the wheel needs is not there.
    run_command(*UV, "pip", "install", "--python", str(python), "--no-index", f"{wheel}[airflow]")


def _copy(package: Distribution, site: Path) -> None:
    """Lay the files of an installed package into another environment, all but its programs."""
    for file in package.files or ():
        source, target = Path(str(package.locate_file(file))), site / file
        # Some packages list a file twice.
        if ".." in file.parts or not source.is_file() or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:  # another file system, or files of somebody else
            shutil.copyfile(source, target)
