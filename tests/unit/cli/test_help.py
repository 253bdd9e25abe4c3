"""The help of every command: flags, examples, exit codes; and what a wrong call comes to."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from reloads.cli.exit_codes import MEANINGS, Exit
from reloads.cli.main import COMMANDS
from tests.support.clone import copy_tables
from tests.support.command_line import Printed, call


def help_of(name: str) -> Printed:
    return call(name, "--help")


def examples(name: str) -> list[list[str]]:
    """The words of each example in the help of a command, without ``reloads``."""
    text = help_of(name).out.partition("Examples:\n")[2]
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("    reloads ")]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_a_short_help_and_examples_that_call_it(name: str) -> None:
    shown = help_of(name)
    assert shown.code == 0
    assert shown.out == call(name, "-h").out
    assert "--json" in shown.out
    assert examples(name)
    for words in examples(name):
        assert words[0] == name


@pytest.mark.parametrize("name", COMMANDS)
def test_flags_are_shown_as_flags_and_no_line_is_cut(name: str) -> None:
    out = help_of(name).out
    assert "<bool>" not in out
    assert "<str>" not in out
    assert "..." not in call("--help").out.partition("Commands:")[2]
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_an_example_is_an_option_of_its_command(name: str) -> None:
    options = set(re.findall(r"--[a-z-]+", help_of(name).out.partition("Examples:")[0]))
    for words in examples(name):
        assert {word for word in words if word.startswith("--")} <= options


def test_the_help_tells_every_exit_code() -> None:
    told = re.findall(r"^    (\d+) +(.+)$", call("-h").out.partition("Exit codes:")[2], flags=re.MULTILINE)
    assert {Exit(int(code)): words for code, words in told} == MEANINGS
    assert set(MEANINGS) == set(Exit)


def test_a_duration_that_is_none_is_wrong_usage() -> None:
    for text in ("soon", "10", "-1s", "1.5m", ""):
        told = call("request", "a", "--wait", "--timeout", text)
        assert (told.code, "is not a duration; write one like 90s, 10m or 2h" in told.err) == (Exit.WRONG, True)


def test_the_schema_is_a_document_in_a_terminal_too() -> None:
    assert call("check", "--schema", width=80).json == call("check", "--schema", "--json").json


def test_the_version_is_the_one_that_is_installed() -> None:
    assert call("--version").out == "reloads 0.1.0\n"


def test_without_a_command_the_help_is_shown() -> None:
    shown = call()
    assert (shown.code, shown.out) == (Exit.WRONG, call("--help").out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nothing"],
        ["status", "--nothing"],
        ["plan"],
        ["plan", "a", "b", "c", "d"],
        ["request", "a", "--timeout", "soon"],
    ],
    ids=shlex.join,
)
def test_a_wrong_call_is_a_sentence_and_one_code_and_as_json_a_document(arguments: list[str]) -> None:
    told = call(*arguments)
    assert (told.code, told.out, len(told.err.splitlines())) == (Exit.WRONG, "", 1)
    as_json = call(*arguments, "--json")
    assert as_json.code == Exit.WRONG
    assert as_json.json == {"error": told.err.removeprefix("reloads: ").rstrip("\n"), "exit_code": Exit.WRONG}


def test_every_query_of_an_example_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_tables(tmp_path)
    monkeypatch.setenv("RELOADS_HOME", str(tmp_path))
    for words in examples("sql"):
        assert call(*[word for word in words if not word.endswith(".csv") and word != ">>"]).code == 0
