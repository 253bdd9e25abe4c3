"""Calls to a module in another Python: they answer, log, fail and end as if the module ran here."""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import sysconfig
import venv
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reloads import errors
from reloads.errors import OperatorError, ReloadsError
from reloads.rewriting.subprocess_call import call_subprocess

# The module that is called: it runs the code that it is given.
CALLEE = """
from reloads.rewriting.subprocess_call import answer_call
print("a print before there is an answer")
def run(value):
    scope = {}
    exec(value["code"], scope)
    return {"result": scope.get("result")}
if __name__ == "__main__":
    answer_call(run)
"""

# A process that calls, for tests that end it.
CALLER = """
import logging, signal, sys
from pathlib import Path
from reloads.rewriting.subprocess_call import call_subprocess
logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
signal.signal(signal.SIGUSR1, lambda *_: sys.exit("an error that a handler raises"))
call_subprocess(Path(sys.argv[1]), "callee", {"code": "import os, signal; print('pid', os.getpid()); signal.pause()"})
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another Python that has the packages of this one and the module ``callee``."""
    home = tmp_path_factory.mktemp("python")
    venv.create(home, symlinks=True)
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    folders = [*sys.path, str(Path(errors.__file__).parents[1])]
    (packages / "here.pth").write_text("\n".join(folder for folder in folders if folder) + "\n")
    (packages / "callee.py").write_text(CALLEE)
    return home / "bin" / "python"


def result_of(python: Path, code: str, **fields: Any) -> Any:
    return call_subprocess(python, "callee", {"code": code, **fields})["result"]


def test_one_that_takes_too_long_is_ended(python: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    code = "import os, signal; print('pid', os.getpid()); signal.pause()"
    with pytest.raises(TimeoutError, match=r"^callee took longer than 0\.5 s$"):
        call_subprocess(python, "callee", {"code": code}, seconds=0.5)
    for line in caplog.messages:
        if line.startswith("pid "):
            with pytest.raises(ProcessLookupError):
                os.kill(int(line.removeprefix("pid ")), 0)


def test_one_that_answers_in_time_is_not_ended(python: Path) -> None:
    assert call_subprocess(python, "callee", {"code": "result = 1"}, seconds=600) == {"result": 1}


def test_variables_that_lead_to_other_packages_do_not_reach_it(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "duckdb.py").write_text("raise ZeroDivisionError")
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    code = "import duckdb, os; result = sorted({'PYTHONPATH', 'PYTHONHOME', 'VIRTUAL_ENV'} & os.environ.keys())"
    assert result_of(python, code) == []


def test_prints_do_not_disturb_the_answer(python: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="reloads.rewriting.subprocess_call")
    assert result_of(python, "import os; print('{\"answer\": 1}'); os.write(1, b'raw'); result = 'ä'") == "ä"
    assert caplog.messages == ["a print before there is an answer", '{"answer": 1}', "raw"]


def test_its_log_lines_keep_their_levels(python: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    result_of(python, "import logging; log = logging.getLogger('x'); log.warning('careful'); log.info('fine')")
    assert [(record.levelname, record.message) for record in caplog.records[1:]] == [
        ("WARNING", "x: careful"),
        ("INFO", "x: fine"),
    ]


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
    ("code", "reason"),
    [
        pytest.param("import nowhere", "No module named 'nowhere'", id="import"),
        pytest.param("1 / 0", "ZeroDivisionError: division by zero", id="bug"),
        pytest.param("import os; os._exit(3)", "a print before there is an answer", id="exit"),
        pytest.param("raise SystemExit", "ended without an answer", id="no answer"),
        pytest.param("import os; os.kill(os.getpid(), 9)", "was ended by signal 9 (Killed)", id="killed"),
    ],
)
def test_an_end_without_an_answer_is_one_sentence(python: Path, code: str, reason: str) -> None:
    with pytest.raises(OperatorError) as raised:
        result_of(python, code)
    assert reason in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "Traceback" not in str(raised.value)


def test_a_whole_answer_stands_however_the_interpreter_ends(python: Path) -> None:
    assert result_of(python, "import atexit, os; atexit.register(os.kill, os.getpid(), 9); result = 1") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_it_ends_with_the_process_that_called(python: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", CALLER, str(python)]
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


def test_a_missing_module_is_one_sentence(python: Path) -> None:
    with pytest.raises(OperatorError, match=r"^nowhere ended without an answer \(.*No module named nowhere\); mend"):
        call_subprocess(python, "nowhere", {})


def test_a_missing_python_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"^callee cannot be run with .* \(No such file or directory\); .* remove"):
        call_subprocess(tmp_path / "bin" / "python", "callee", {})
