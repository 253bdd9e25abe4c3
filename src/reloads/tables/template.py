"""What a person starts from: a folder of a table, or a whole project that works at once. Nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from reloads.errors import OperatorError, RequestError
from reloads.tables.definition import TABLE_NAME

# Some tools leave hidden files out of a package.
HIDDEN = {"gitignore": ".gitignore"}


@dataclass(frozen=True)
class Made:
    """What lies in the folder now: the files that were made, and those that were there and stay as they are."""

    folder: Path
    made: tuple[Path, ...]
    kept: tuple[Path, ...]


def make_project(folder: Path) -> Made:
    """Lay out a project: two tables that need no files, a request to try, and the DAG files.

    Files that are there stay as they are. Raises ``OperatorError`` where ``folder`` is not a folder.
    """
    if folder.exists() and not folder.is_dir():
        raise OperatorError(f"{folder} is not a folder; name one that is, or one that is not there yet")
    return _copy("project", folder)


def make_table(tables: Path, name: str) -> Made:
    """Lay out the folder of a table whose query works at once; raises ``RequestError`` for a name that will not do."""
    if not TABLE_NAME.fullmatch(name):
        raise RequestError(f"{name!r} is not a table's name; write a lower case letter, then letters, digits and _")
    if (tables / name).exists():
        raise RequestError(f"{tables / name} is there already; choose another name, or change its files")
    return _copy("table", tables / name)


def _copy(template: str, folder: Path) -> Made:
    made: list[Path] = []
    kept: list[Path] = []
    for relative, content in _walk(files("reloads") / "template" / template):
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("xb") as file:
                file.write(content)
        except FileExistsError:
            kept.append(relative)
        else:
            made.append(relative)
    return Made(folder, tuple(made), tuple(kept))


def _walk(place: Traversable, path: Path = Path()) -> Iterator[tuple[Path, bytes]]:
    """The files below a folder of the package, by name, each with its path from there."""
    for entry in sorted(place.iterdir(), key=lambda entry: entry.name):
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            yield from _walk(entry, path / entry.name)
        else:
            yield path / HIDDEN.get(entry.name, entry.name), entry.read_bytes()
