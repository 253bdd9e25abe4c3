"""``reloads sql`` in a real shell, and what it says in each form."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.chain import Chain
from tests.support.command_line import call

WIDE = "select " + ", ".join(f"{number} as a_column_{number}" for number in range(30))


@pytest.fixture
def home(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RELOADS_HOME", str(chain.settings.home))
    return chain.settings.home


def shell(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell that knows ``reloads``."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "RELOADS_HOME": str(home)}
    line = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(line, cwd=home, env=environment, text=True, capture_output=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("option", "lines"), [("--csv", ["kept", "n", "1", "n", "1"]), ("", ["kept", "1", "1"])], ids=["CSV", "plain"]
)
def test_what_is_appended_to_a_file_leaves_what_was_there(home: Path, option: str, lines: list[str]) -> None:
    (home / "out").write_text("kept\n")
    for _ in range(2):
        assert shell(f'reloads sql "select 1 as n" {option} >> out', home).returncode == 0
    assert (home / "out").read_text().splitlines() == lines


@pytest.mark.parametrize("option", ["--csv", "--json", ""])
def test_a_reader_who_has_seen_enough_is_no_failure(home: Path, option: str) -> None:
    done = shell(f'reloads sql "select unnest(range(200000)) as n" {option} | head -1', home)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


def test_a_narrow_terminal_names_the_columns_that_it_leaves_out_and_says_how_to_see_them(home: Path) -> None:
    assert home.is_dir()
    shown = call("sql", WIDE, width=80)
    header, values, *rest = shown.lines
    words = " ".join(rest)
    for number in range(30):
        assert (f"a_column_{number}" in header.split()) != (f"a_column_{number}," in f"{words},".replace(";", ","))
    assert len(values.split()) == len(header.split())
    assert "--vertical" in words


def test_every_column_is_in_a_pipe_in_json_and_in_vertical_records(home: Path) -> None:
    assert home.is_dir()
    numbers = [str(number) for number in range(30)]
    assert call("sql", WIDE).out.rstrip("\n").split("\t") == numbers
    assert list(call("sql", WIDE, "--json").json["rows"][0].values()) == list(range(30))
    assert [line.split()[1] for line in call("sql", WIDE, "--vertical", width=80).lines[:30]] == numbers


def test_a_terminal_shows_so_many_rows_and_says_how_many_there_are(home: Path) -> None:
    assert home.is_dir()
    lines = call("sql", "select unnest(range(1500)) as n", width=80).lines
    assert lines[-1] == "the first 40 of 1,500 rows; --csv and --json give all"
    assert len(call("sql", "select unnest(range(1500)) as n").lines) == 1500


def test_json_holds_values_of_every_type(home: Path) -> None:
    assert home.is_dir()
    query = "select 1.5::decimal(9, 2) a, 'nan'::double b, {'x': [1]} c, null d, interval 1 day e, true f, 2::hugeint g"
    [row] = call("sql", query, "--json").json["rows"]
    assert row == {"a": 1.5, "b": None, "c": {"x": [1]}, "d": None, "e": "1 day", "f": True, "g": 2}


def test_a_form_that_goes_with_no_other_is_a_sentence_and_wrong_usage(home: Path) -> None:
    assert home.is_dir()
    told = call("sql", "select 1", "--csv", "--json")
    assert (told.code, told.json["exit_code"]) == (2, 2)
    assert "--csv goes with neither --json nor --vertical" in told.json["error"]
