"""The reference of the command line: what each command says of itself."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from reloads.cli.main import app

WIDTH = "100"


def commands_page() -> str:
    """Every command with its arguments and options."""
    return "\n".join([_INTRODUCTION, _block(), *(_section(name) for name in command_names())])


def command_names() -> list[str]:
    """The names of all commands, in the order of the help."""
    return list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]  # the app is a group


_INTRODUCTION = """\
# Command line

The command `reloads` says the same with `--help`. [Requests](../requests.md) shows the commands at work.
"""


def _section(name: str) -> str:
    return f"## `reloads {name}`\n\n{_block(name)}"


def _block(*words: str) -> str:
    """The help of a command, as a terminal shows it."""
    plain = {"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH, "TERM": "dumb", "NO_COLOR": "1"}
    result = CliRunner(env=plain).invoke(app, [*words, "--help"], prog_name="reloads")
    if result.exit_code != 0:
        raise ValueError(f"reloads {' '.join(words)} --help ends with {result.exit_code}: {result.output}")
    lines = [line.rstrip() for line in result.stdout.strip("\n").splitlines()]
    return "\n".join(["```text", *lines, "```", ""])
