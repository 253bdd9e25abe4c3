"""The maps are true: the tree in the README, the modules in the architecture, the excerpts in CONTRIBUTING."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.unit.documents.pages import CLONE, Page

README = Page("README.md")
ARCHITECTURE = Page("docs/architecture.md")
CONTRIBUTING = Page("CONTRIBUTING.md")
CORE = CLONE / "src" / "reloads"
LONGEST_README = 150


def tree() -> Iterator[tuple[PurePosixPath, str]]:
    """The paths of the README's tree, each with its words."""
    parents: list[tuple[int, PurePosixPath]] = [(-1, PurePosixPath())]
    for line in re.findall(r"```\n(.*?)```", README.section("## What is where"), flags=re.DOTALL)[0].splitlines():
        indent = len(line) - len(line.lstrip())
        names, _, words = line.strip().partition("  ")
        while parents[-1][0] >= indent:
            parents.pop()
        for name in names.split(", "):
            path = parents[-1][1] / name
            yield path, words.strip()
        parents.append((indent, path))


def tracked() -> set[PurePosixPath]:
    """The files of the clone that are under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=CLONE, check=True, capture_output=True, text=True).stdout
    return {PurePosixPath(name) for name in listed.split("\0") if name}


def rooms() -> set[str]:
    """The packages of the core."""
    return {path.parent.name for path in CORE.glob("*/__init__.py")}


def test_the_readme_is_short() -> None:
    assert len(README.text.splitlines()) <= LONGEST_README


def test_the_tree_in_the_readme_is_the_tree_on_disk() -> None:
    listed = [path for path, _ in tree()]
    assert [path for path in listed if not (CLONE / path).exists()] == []
    assert {path.parts[0] for path in listed} == {path.parts[0] for path in tracked()}
    assert {path.name for path in listed if path.parent == PurePosixPath("src/reloads")} == rooms()


def test_the_folders_that_the_words_of_the_tree_name_are_there() -> None:
    named = [(path / name) for path, words in tree() for name in re.findall(r"\b([a-z0-9_]+)/(?=\s|$)", words)]
    assert named
    assert [path for path in named if not (CLONE / path).is_dir()] == []


def test_the_architecture_lists_every_module_and_no_other() -> None:
    listed = re.findall(r"^\| `([a-z_/]+\.py)` \|", ARCHITECTURE.section("## The rooms"), flags=re.MULTILINE)
    modules = {path.relative_to(CORE).as_posix() for path in CORE.rglob("*.py") if path.name != "__init__.py"}
    assert len(listed) == len(set(listed))
    assert set(listed) == modules


def test_every_room_has_its_folder_of_tests() -> None:
    assert rooms() - {path.name for path in (CLONE / "tests" / "unit").iterdir()} == set()


def test_the_excerpts_in_contributing_stand_in_the_code() -> None:
    excerpts = [block for block in CONTRIBUTING.blocks() if block.language == "python"]
    assert len(excerpts) == 3
    for excerpt in excerpts:
        assert excerpt.file
        assert _flat(excerpt.text) in _flat((CLONE / excerpt.file).read_text(encoding="utf-8")), excerpt.file


def _flat(code: str) -> str:
    """Code without its indentation, which an excerpt leaves out."""
    return "\n".join(line.strip() for line in code.strip().splitlines())
