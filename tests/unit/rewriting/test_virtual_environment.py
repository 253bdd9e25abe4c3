"""Environments: built once, whole, with packages of their own before ours; calls there answer, fail and end as here."""

from __future__ import annotations

import json
import logging
import os
import re
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet
import pydantic
import pytest

from reloads import errors
from reloads.errors import OperatorError, ReloadsError, TableError
from reloads.rewriting.subprocess_call import call_subprocess
from reloads.rewriting.virtual_environment import VirtualEnvironment, ensure_environment
from tests.support.chain import Chain

REQUIREMENTS = ["duckdb==1.5.5"]

BUILD = """
import json, logging, sys
from pathlib import Path
from reloads.rewriting.virtual_environment import ensure_environment
logging.basicConfig(level=logging.INFO)
print("asking", flush=True)
sys.stdin.readline()
print(ensure_environment(json.loads(sys.argv[2]), folder=Path(sys.argv[1])))
"""

# Runs the Python it is given: the module of ours that other Pythons call, as small as it can be.
THERE = """
from reloads.rewriting.subprocess_call import answer_call
print("a print before there is an answer")
def run(value):
    scope = {}
    exec(value["code"], scope)
    return {"result": scope.get("result")}
if __name__ == "__main__":
    answer_call(run)
"""

CALL = """
import logging, signal, sys
from pathlib import Path
from reloads.rewriting.subprocess_call import call_subprocess
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
signal.signal(signal.SIGUSR1, lambda *_: sys.exit("an error that a handler raises"))
call_subprocess(Path(sys.argv[1]), "there", {"code": "import os, signal; print('pid', os.getpid()); signal.pause()"})
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("environments")


@pytest.fixture(scope="session")
def builds(folder: Path) -> list[tuple[str, str]]:
    """What two processes say that ask at once, without a home they may write, where a build was broken off."""
    home = VirtualEnvironment.of(REQUIREMENTS, folder=folder).home
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "python").write_text("half")
    (home / "half").touch()
    command = [sys.executable, "-c", BUILD, str(folder), '["duckdb==1.5.5"]']
    spoiled = os.environ | {"HOME": "/proc/none", "PIP_USER": "1"}
    asking = [
        subprocess.Popen(
            command, env=spoiled, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in asking:
        assert process.stdout
        assert process.stdout.readline() == "asking\n"
    for process in asking:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.communicate() for process in asking]


@pytest.fixture(scope="session")
def python(builds: list[tuple[str, str]], folder: Path) -> Path:
    """The environment's Python; its own packages include the module ``there``."""
    assert builds
    environment = VirtualEnvironment.of(REQUIREMENTS, folder=folder)
    (environment.packages / "there.py").write_text(THERE)
    return environment.python


def result_of(python: Path, code: str, **more: Any) -> Any:
    return call_subprocess(python, "there", {"code": code, **more})["result"]


def test_of_processes_that_ask_at_once_one_builds(builds: list[tuple[str, str]], folder: Path) -> None:
    python = VirtualEnvironment.of(REQUIREMENTS, folder=folder).python
    assert [said for said, _ in builds] == [f"{python}\n"] * 2
    assert sum(log.count("building an environment") for _, log in builds) == 1


def test_a_half_built_one_is_built_anew(python: Path) -> None:
    assert not (python.parent.parent / "half").exists()
    assert (python.parent.parent / "complete").read_text() == "duckdb==1.5.5\n"


def test_it_is_kept_for_the_same_requirements_in_any_order(python: Path, folder: Path) -> None:
    built_at = python.lstat().st_mtime_ns
    assert ensure_environment([" duckdb==1.5.5", "duckdb==1.5.5"], folder=folder) == python
    assert python.lstat().st_mtime_ns == built_at
    one, other = (VirtualEnvironment.of(names, folder=folder) for names in (["a==1", "b==2"], ["b==2", "a==1"]))
    assert one == other
    assert one.home != python.parent.parent


def test_beside_it_there_is_a_lock_and_at_most_a_cache(python: Path, folder: Path) -> None:
    home = python.parent.parent
    assert {path.name for path in folder.iterdir()} - {".cache"} == {home.name, f"{home.name}.lock"}


def test_its_own_packages_win(python: Path) -> None:
    assert result_of(python, "import duckdb; result = duckdb.__version__") == "1.5.5" != duckdb.__version__


def test_the_packages_of_the_python_that_built_it_are_found(python: Path) -> None:
    code = "import pydantic, pendulum, reloads; result = [pydantic.VERSION, reloads.__file__]"
    found = result_of(python, code)
    assert found == [pydantic.VERSION, str(Path(errors.__file__).with_name("__init__.py"))]


def test_variables_that_lead_to_other_packages_do_not_reach_it(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "duckdb.py").write_text("raise ZeroDivisionError")
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    seen = result_of(
        python, "import duckdb, os; result = [k for k in os.environ if k in ('PYTHONPATH', 'VIRTUAL_ENV')]"
    )
    assert seen == []


def test_prints_do_not_disturb_the_answer(python: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="reloads.rewriting.subprocess_call")
    assert result_of(python, "import os; print('{\"answer\": 1}'); os.write(1, b'raw'); result = 'ä'") == "ä"
    assert caplog.messages == ["a print before there is an answer", '{"answer": 1}', "raw"]


def test_its_log_lines_keep_their_levels(python: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result_of(python, "import logging; log = logging.getLogger('x'); log.warning('careful'); log.info('fine')")
    assert [(r.levelname, r.message) for r in caplog.records[1:]] == [("WARNING", "x: careful"), ("INFO", "x: fine")]


def test_neither_side_waits_for_the_other_to_read(python: Path) -> None:
    code = "print('line ' * 100_000); result = 'r' * 1_000_000"
    assert len(result_of(python, code, ballast="v" * 1_000_000)) == 1_000_000


@pytest.mark.parametrize("kind", ["ReloadsError", "RequestError", "TableError", "QueryError", "OperatorError"])
def test_an_error_of_ours_travels(python: Path, kind: str) -> None:
    with pytest.raises(ReloadsError) as raised:
        result_of(python, f"from reloads.errors import {kind}\nclass Own({kind}): pass\nraise Own('mend it')")
    assert type(raised.value) is getattr(errors, kind)
    assert str(raised.value) == "mend it"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param("import nowhere", "No module named 'nowhere'", id="import"),
        pytest.param("1 / 0", "ZeroDivisionError: division by zero", id="bug"),
        pytest.param("import os; os._exit(3)", "a print before there is an answer", id="exit"),
        pytest.param("raise SystemExit", "ended without an answer", id="no answer"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "was ended by signal 9 (Killed)", id="killed"),
    ],
)
def test_an_end_without_an_answer_is_one_sentence(python: Path, code: str, said: str) -> None:
    with pytest.raises(OperatorError) as raised:
        result_of(python, code)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "Traceback" not in str(raised.value)


def test_a_whole_answer_stands_however_the_interpreter_ends(python: Path) -> None:
    assert result_of(python, "import atexit, os; atexit.register(os.kill, os.getpid(), 9); result = 1") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_it_ends_with_the_process_that_called(python: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", CALL, str(python)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as calling:
        assert calling.stdout
        pid = next(int(line.split()[1]) for line in calling.stdout if line.startswith("pid "))
        child = os.pidfd_open(pid)
        calling.send_signal(number)
        ended, _, _ = select.select([child], [], [], 30)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(child, signal.SIGKILL)
        os.close(child)
    assert ended


def test_a_module_that_is_not_there_is_one_sentence(python: Path) -> None:
    with pytest.raises(OperatorError, match=r"^nowhere ended without an answer \(.*No module named nowhere\); mend"):
        call_subprocess(python, "nowhere", {})


def test_a_python_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"^there cannot be run with .* \(No such file or directory\); .* remove"):
        call_subprocess(tmp_path / "bin" / "python", "there", {})


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


# a table in it


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
    state, record = chain.the(record.id)
    assert (state, record.published.texts(), record.failed_days.texts()) == (
        "failed",
        ["2025-01-01", "2025-01-03"],
        ["2025-01-02"],
    )
    assert [(one.check, one.found, one.expected) for one in record.checks] == [("not_two", "2", "no 2")]
    files = [chain.settings.warehouse / "a" / f"day=2025-01-0{day}" / "data.parquet" for day in (1, 3)]
    rows = [row for file in files for row in pyarrow.parquet.read_table(file, partitioning=None).to_pylist()]
    assert rows == [{"amount": 1, "version": "v1.5.5"}, {"amount": 3, "version": "v1.5.5"}]
    assert list((chain.settings.warehouse / ".staging").iterdir()) == []
    said = [one.getMessage() for one in caplog.records]
    assert [one for one in said if re.fullmatch(r"a: its own environment cost \d+\.\d\d s", one)]
