"""The documents as tests read them: their blocks of code, tables, headings and links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

CLONE = Path(__file__).parents[3]
FOLDERS = ("", "docs", "docs/reference", "landing", "warehouse", "benchmarks", "examples/*")

_BLOCK = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"[`(]([\w./-]+)[`)]:\s*\Z")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A block of code, and the file that the sentence before it names: ``Write `tables/visits/query.sql`:``."""

    language: str
    text: str
    file: str | None

    def lines(self) -> list[str]:
        """The lines that are more than a comment."""
        return [line for line in self.text.splitlines() if line.strip() and not line.startswith("#")]


@dataclass(frozen=True)
class Page:
    """One document of the clone."""

    name: str

    @property
    def path(self) -> Path:
        return CLONE / self.name

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    def section(self, heading: str) -> str:
        """The text from a heading to the next heading of any level."""
        _, found, rest = self.text.partition(f"\n{heading}\n")
        assert found, f"{self.name} has no heading {heading!r}"
        return re.split(r"^#", rest, maxsplit=1, flags=re.MULTILINE)[0]

    def blocks(self) -> list[Block]:
        """All blocks of code, in their order."""
        return _blocks_in(self.text)

    def chapters(self) -> dict[str, list[Block]]:
        """The blocks below each heading of the second level."""
        _, *texts = re.split(r"^## ", self.text, flags=re.MULTILINE)
        return {text.partition("\n")[0]: _blocks_in(text) for text in texts}

    def rows(self, name: str) -> dict[str, str]:
        """The last column of each table row whose first column is one name in backticks, by that name."""
        return dict(re.findall(rf"^\| `({name})` \|(?:.*\|)? (.*) \|$", self.text, flags=re.MULTILINE))

    def anchors(self) -> set[str]:
        """The anchors of the headings, as GitHub makes them."""
        prose = _BLOCK.sub("", self.text)
        return {_anchor(heading) for heading in _HEADING.findall(prose)}

    def links(self) -> list[tuple[Path, str]]:
        """The file and the anchor of each link to another place of the clone."""
        links = []
        for target in _LINK.findall(_BLOCK.sub("", self.text)):
            file, _, anchor = target.partition("#")
            links.append(((self.path.parent / file).resolve() if file else self.path, anchor))
        return links


def _blocks_in(text: str) -> list[Block]:
    blocks = []
    for match in _BLOCK.finditer(text):
        file = _FILE.search(text[: match.start()])
        blocks.append(Block(match[2], dedent(match[3]), file[1] if file else None))
    return blocks


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def pages() -> list[Page]:
    """All documents that belong to the clone."""
    return [
        Page(str(path.relative_to(CLONE)))
        for folder in FOLDERS
        for path in sorted(CLONE.glob(f"{folder}/*.md".lstrip("/")))
    ]


def names_of(page: Page) -> str:
    """What a parametrised test is called."""
    return page.name
