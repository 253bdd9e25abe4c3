"""Virtual environments: built once, whole, with packages of their own before those of the Python that built them."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet
import pydantic
import pytest

from reloads import errors
from reloads.errors import OperatorError, ReloadsError, TableError
from reloads.rewriting.virtual_environment import VirtualEnvironment, ensure_environment
from tests.support.chain import Chain

REQUIREMENTS = ["duckdb==1.5.5"]

BUILD = """
import json, logging, sys
from pathlib import Path
from reloads.rewriting.virtual_environment import ensure_environment
logging.basicConfig(level=logging.INFO)
print("ready", flush=True)
sys.stdin.readline()
print(ensure_environment(json.loads(sys.argv[2]), folder=Path(sys.argv[1])))
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="session")
def builds(folder: Path) -> list[tuple[str, str]]:
    """What two processes print and log that ask at once, without a home they may write, after an interrupted build."""
    home = VirtualEnvironment.of(REQUIREMENTS, folder=folder).home
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").write_text("half")
    (home / "half").touch()
    command = [sys.executable, "-c", BUILD, str(folder), '["duckdb==1.5.5"]']
    variables = os.environ | {"HOME": "/proc/none", "PIP_USER": "1"}
    processes = []
    for _ in range(2):
        process = subprocess.Popen(
            command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        processes.append(process)
    for process in processes:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate() for process in processes]


@pytest.fixture(scope="session")
def python(builds: list[tuple[str, str]], folder: Path) -> Path:
    """The Python of the environment."""
    assert builds
    return VirtualEnvironment.of(REQUIREMENTS, folder=folder).python


def printed_by(python: Path, code: str) -> str:
    return subprocess.check_output([python, "-I", "-c", code], text=True).strip()


def test_of_processes_that_ask_at_once_one_builds(builds: list[tuple[str, str]], folder: Path) -> None:
    python = VirtualEnvironment.of(REQUIREMENTS, folder=folder).python
    assert [output for output, _ in builds] == [f"{python}\n"] * 2
    assert sum(log.count("building an environment") for _, log in builds) == 1


def test_a_half_built_environment_is_built_anew(python: Path) -> None:
    assert not (python.parent.parent / "half").exists()
    assert (python.parent.parent / "complete").read_text() == "duckdb==1.5.5\n"


def test_it_is_kept_for_the_same_requirements_in_any_order(python: Path, folder: Path) -> None:
    built_at = python.lstat().st_mtime_ns
    assert ensure_environment([" duckdb==1.5.5", "duckdb==1.5.5"], folder=folder) == python
    assert python.lstat().st_mtime_ns == built_at
    environment = VirtualEnvironment.of(["a==1", "b==2"], folder=folder)
    assert environment == VirtualEnvironment.of(["b==2", "a==1"], folder=folder)
    assert environment.home != python.parent.parent


def test_beside_it_there_is_a_lock_and_at_most_a_cache(python: Path, folder: Path) -> None:
    home = python.parent.parent
    assert {path.name for path in folder.iterdir()} - {".cache"} == {home.name, f"{home.name}.lock"}


def test_its_own_packages_win(python: Path) -> None:
    assert printed_by(python, "import duckdb; print(duckdb.__version__)") == "1.5.5" != duckdb.__version__


def test_the_packages_of_the_python_that_built_it_are_found(python: Path) -> None:
    code = "import pydantic, pendulum, reloads; print(pydantic.VERSION, reloads.__file__)"
    assert printed_by(python, code) == f"{pydantic.VERSION} {Path(errors.__file__).with_name('__init__.py')}"


@pytest.mark.parametrize(
    ("requirement", "kind", "message"),
    [
        pytest.param(
            "duckdb==0.0.0.1",
            OperatorError,
            r"cannot be installed \(No matching .* duckdb==0\.0\.0\.1\); check",
            id="none",
        ),
        pytest.param(
            "duckdb=1", TableError, r"cannot be read \(Invalid requirement: 'duckdb=1'\); write each", id="malformed"
        ),
    ],
)
def test_requirements_that_cannot_be_met_are_one_sentence(
    tmp_path: Path, requirement: str, kind: type[ReloadsError], message: str
) -> None:
    with pytest.raises(kind, match=rf"^requirements \['{requirement}'\] {message}"):
        ensure_environment([requirement], folder=tmp_path)
    assert not VirtualEnvironment.of([requirement], folder=tmp_path).complete.exists()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperatorError, match=r"file/environments cannot be written \(Not a directory\); make room"):
        ensure_environment([], folder=tmp_path / "file" / "environments")


# a table that asks for one


def test_a_batch_there_keeps_to_its_time_limit(chain: Chain, python: Path, folder: Path) -> None:
    assert python.exists()
    chain = Chain(chain.settings.model_copy(update={"environments": folder}), chain.queue)
    endless = "(select count(*) from range(100000000) a, range(1000000) b where (a.range * b.range) % 7 = 3)"
    toml = f"requirements = {json.dumps(REQUIREMENTS)}\nbatch_minutes = 0.01"
    chain.define("a", f"select day, amount, {endless} as x from raw", toml)
    record = chain.ask("a", "2025-01-01", "2025-01-03")
    chain.run("a")
    state, record = chain.find_record(record.id)
    assert state == "failed"
    assert record.failed[0].error.startswith("the batch took longer than 0.01 minutes; ")
    assert list((chain.settings.warehouse / ".staging").iterdir()) == []


def test_a_table_is_rewritten_by_the_duckdb_it_asks_for_with_the_same_staging_checks_and_publishing(
    chain: Chain, python: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert python.exists()
    chain = Chain(chain.settings.model_copy(update={"environments": folder}), chain.queue)
    chain.define("a", "select day, amount, version() as version from raw", f"requirements = {json.dumps(REQUIREMENTS)}")
    checks = "create view not_two as select day, amount as found, 'no 2' as expected from new where amount = 2"
    (chain.settings.tables / "a" / "checks.sql").write_text(checks)
    record = chain.ask("a", "2025-01-01", "2025-01-03")
    with caplog.at_level(logging.INFO):
        chain.run("a")
    state, record = chain.find_record(record.id)
    assert (state, record.published.texts(), record.failed_days.texts()) == (
        "failed",
        ["2025-01-01", "2025-01-03"],
        ["2025-01-02"],
    )
    assert [(check.check, check.found, check.expected) for check in record.checks] == [("not_two", "2", "no 2")]
    files = [chain.settings.warehouse / "a" / f"day=2025-01-0{day}" / "data.parquet" for day in (1, 3)]
    rows = []
    for file in files:
        rows += pyarrow.parquet.read_table(file, partitioning=None).to_pylist()
    assert rows == [{"amount": 1, "version": "v1.5.5"}, {"amount": 3, "version": "v1.5.5"}]
    assert list((chain.settings.warehouse / ".staging").iterdir()) == []
    assert [line for line in caplog.messages if re.fullmatch(r"a: its own environment cost \d+\.\d\d s", line)]
