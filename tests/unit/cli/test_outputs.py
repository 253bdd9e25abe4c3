"""What every command prints is what the kept files hold; ``make outputs`` writes them anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reloads.cli.main import COMMANDS as ALL_COMMANDS
from tests.unit.cli.kept_outputs import COMMANDS, FOLDER, FORMS, WITHOUT_JSON, home, lay_out, produce

CASES = [(name, form) for name in COMMANDS for form in FORMS if form != "json" or name not in WITHOUT_JSON]


@pytest.fixture(scope="module")
def original() -> Iterator[Path]:
    """The home that each command gets a copy of."""
    with home() as folder:
        lay_out(folder)
        yield folder


@pytest.mark.parametrize(("name", "form"), CASES, ids=lambda value: value)
def test_a_command_prints_what_is_kept(original: Path, name: str, form: str) -> None:
    kept = (FOLDER / f"{name}.{form}.txt").read_text(encoding="utf-8")
    assert produce(original, name, form) == kept


def test_nothing_else_is_kept() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.{form}.txt" for name, form in CASES}


def test_an_output_of_every_command_is_kept() -> None:
    assert {arguments[0] for arguments in COMMANDS.values()} >= set(ALL_COMMANDS)


@pytest.mark.parametrize("form", ["80", "160"])
def test_no_line_is_wider_than_the_terminal_but_for_words_that_are_not_broken(form: str) -> None:
    for path in sorted(FOLDER.glob(f"*.{form}.txt")):
        drawn = path.read_text(encoding="utf-8").partition("\n")[2].partition("--- ")[0]
        for line in drawn.splitlines():
            assert len(line) <= int(form) or len(line.split()[-1]) > int(form) // 3, f"{path.name}: {line}"
