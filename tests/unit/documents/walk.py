"""Walking through a document as a newcomer does: every block in its order, in the folders of a fresh clone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Self

import duckdb

from tests.support.clone import copy_tables
from tests.unit.documents.pages import CLONE, Block, Page

COMPOSE = (CLONE / "docker-compose.yaml").read_text(encoding="utf-8")
MAKE = re.compile(r"(?:[A-Z_]+=\S+ )*make ([a-z-]+)")
UNTRIED = ("python", "text", "")
"""Blocks that are not for doing; a drawing has no language."""

ELSEWHERE = ("export PATH=", "git pull", "uv build", "pip install")
"""The walk has the commands in its path already, and does not fetch other code; the wheel has a test of its own."""


def is_for_doing(block: Block) -> bool:
    """Whether the block says to do something."""
    return block.language not in UNTRIED


@dataclass
class Walk:
    """One walk: ``home`` is where the newcomer stands."""

    home: Path
    patience_seconds: float = 120
    _days: Iterator[int] = field(default_factory=lambda: count(10))
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @classmethod
    def begin(cls, home: Path, *, source: Path) -> Self:
        """A home with the tables, the examples and the sample source of a fresh clone, and nothing loaded."""
        copy_tables(home)
        shutil.copytree(CLONE / "landing" / "examples", home / "landing" / "examples")
        shutil.copytree(source, home / ".local" / "source")
        (home / "warehouse").mkdir()
        (home / ".env").touch()
        return cls(home)

    def through(self, page: Page) -> Self:
        """Do what every block of the page says; fails at the first that does not work."""
        return self.do(page.blocks())

    def do(self, blocks: Iterable[Block]) -> Self:
        """Do what these blocks say."""
        for block in blocks:
            self._do(block)
        return self

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command line at home."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RELOADS_")}
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command],
            cwd=self.home,
            env={**kept, "PATH": path, "COLUMNS": "200"},
            text=True,
            capture_output=True,
            timeout=self.patience_seconds,
            check=False,
        )

    def succeed(self, command: str) -> str:
        """What the command prints; fails with what it says."""
        done = self.run(command)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def ask_warehouse(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query that reads the warehouse, of which three days of flights are loaded."""
        self.succeed("reloads run flights 2013-01-01 2013-01-03")
        with duckdb.connect() as db:
            return db.execute(query.replace("'warehouse/", f"'{self.home}/warehouse/")).fetchall()

    def _do(self, block: Block) -> None:
        if block.file and block.file.startswith("tables/"):
            self._write(block.file, block.text)
        elif block.language == "bash":
            for line in block.lines():
                self._command(line)
        elif block.language == "json":
            self._check_request(block.text)
        elif block.language == "sql":
            assert self.ask_warehouse(block.text)
        elif block.language == "yaml":
            _check_override(block.text)
        else:
            # Excerpts of code are compared with the code elsewhere, and what a program says is text.
            assert not is_for_doing(block), f"nobody tries blocks of {block.language}"

    def _write(self, file: str, text: str) -> None:
        """Write the file, or add to it what a later block of the page says."""
        with (self.home / file).open("a", encoding="utf-8") as handle:
            handle.write(f"\n{text}")

    def _check_request(self, text: str) -> None:
        file = self.home / f"request-{next(self._numbers)}.json"
        file.write_text(text, encoding="utf-8")
        self.succeed(f"reloads check {file.name}")

    def _command(self, line: str) -> None:
        command = line.partition("  #")[0].strip()
        if make := MAKE.match(command):
            makefile = (CLONE / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{make[1]}:.*##", makefile, flags=re.MULTILINE), f"there is no make {make[1]}"
        elif command.startswith("docker compose "):
            self._compose(command)
        elif not command.startswith(ELSEWHERE):
            self._at_home(command)

    def _compose(self, command: str) -> None:
        """The service is there, and a command of ours that runs in it works; Docker itself is tried elsewhere."""
        words = command.split()
        named = [word for word in words if word in _names_in("services", COMPOSE)]
        assert named, f"{command} names no service of docker-compose.yaml"
        _, ours, rest = command.partition(f" {named[0]} reloads ")
        if ours:
            self._at_home(f"reloads {rest}")

    def _at_home(self, command: str) -> None:
        if command.startswith("reloads ") and re.search(r" ID\b", command):
            command = re.sub(r"\bID\b", self._request_for(command.split()[1]), command)
        self.succeed(self._waits(command))

    def _waits(self, command: str) -> str:
        """Nobody works here, so there is nothing to wait for; a live walk waits."""
        return command.replace(" --wait", "")

    def _request_for(self, verb: str) -> str:
        """The id of a request to which the command can be applied."""
        day = f"2013-01-{next(self._days)}"
        if verb == "undo":
            self.succeed(f"reloads run flights {day}")
            done = (self.home / "landing" / "done").glob("command-flights-*.json")
            return max(done, key=lambda path: path.stat().st_mtime_ns).stem
        record: dict[str, Any] = {
            "id": f"request-{next(self._numbers)}",
            "mode": "landing",
            "table": "flights",
            "days": [day],
            "accepted_at": "2026-01-01T00:00:00Z",
        }
        state = "accepted"
        if verb == "retry":
            state, record["failed"] = "failed", [{"days": [day], "error": "the disk was full"}]
        folder = self.home / "landing" / state
        folder.mkdir(exist_ok=True)
        (folder / f"{record['id']}.json").write_text(json.dumps(record), encoding="utf-8")
        return str(record["id"])


def _check_override(text: str) -> None:
    """An override speaks of services and networks that there are."""
    assert _names_in("services", text) <= _names_in("services", COMPOSE)
    for names in re.findall(r"networks: \[(.*)\]", text):
        assert set(names.split(", ")) <= _names_in("networks", COMPOSE)


def _names_in(section: str, compose: str) -> set[str]:
    """The names that a section of a compose file defines, at two spaces as all of ours have them."""
    _, _, rest = f"\n{compose}".partition(f"\n{section}:\n")
    lines = re.split(r"^(?=\S)", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return set(re.findall(r"^  ([a-z-]+):", lines, flags=re.MULTILINE))
