"""The site: it builds without a warning, asks no other host for anything, and every link in it leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from docs.site.navigation import SECTIONS, START, sections
from docs.site.staging import lay_out
from tests.unit.documents.pages import CLONE

LOADED = {("script", "src"), ("img", "src"), ("link", "href"), ("source", "srcset"), ("iframe", "src")}
"""What a browser fetches by itself; an `a` is followed by a person."""

TABLES = "docs/tables.md"


@dataclass
class Html(HTMLParser):
    """What one page loads, where its links lead, and what they can lead to."""

    path: Path
    loads: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            elif (tag, name) in LOADED and value:
                self.loads.append(value)
            elif (tag, name) == ("a", "href") and value:
                self.links.append(value)


def build(site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "docs.site.build", str(site)]
    return subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("docs") / "site"
    done = build(site)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return site


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Html]:
    return {path: Html(path) for path in sorted(site.rglob("*.html"))}


def targets(page: Html, links: list[str]) -> Iterator[tuple[Path, str]]:
    """The file and the anchor of each link within the site."""
    for link in links:
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "data"):
            continue
        path = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path
        yield path, unquote(parts.fragment)


def test_the_first_page_leads_to_all_pages_of_the_manual(pages: dict[Path, Html], site: Path) -> None:
    first = pages[site / "index.html"]
    linked = {path for path, _ in targets(first, first.links)}
    named = [name for _, names in sections() for name in names if name != START]
    assert {(site / name).with_suffix(".html") for name in named} <= linked


def test_no_page_is_without_a_link_to_it(pages: dict[Path, Html], site: Path) -> None:
    linked = {path for page in pages.values() for path, _ in targets(page, page.links) if path != page.path}
    assert set(pages) - linked == {site / "search.html"}


def test_every_section_has_pages() -> None:
    assert [heading for heading, names in sections() if not names] == []
    assert len(dict(sections())) == len(SECTIONS)


def test_a_page_asks_no_other_host_for_anything(pages: dict[Path, Html], site: Path) -> None:
    loads = {load for page in pages.values() for load in page.loads}
    assert loads
    assert [load for load in loads if urlsplit(load).netloc] == []
    sheets = [path.read_text(encoding="utf-8") for path in site.rglob("*.css")]
    assert [url for text in sheets for url in re.findall(r"url\(\s*['\"]?((?:https?:)?//[^)]+)", text)] == []
    assert [text for text in sheets if "@import" in text] == []


def test_what_a_page_loads_is_there(pages: dict[Path, Html]) -> None:
    for page in pages.values():
        assert [path for path, _ in targets(page, page.loads) if not path.is_file()] == []


def test_every_link_and_anchor_leads_somewhere(pages: dict[Path, Html]) -> None:
    count = 0
    for page in pages.values():
        for path, anchor in targets(page, page.links):
            assert path.is_file(), f"{page.path.name} links to {path}"
            if anchor and path in pages:
                assert anchor in pages[path].ids, f"{page.path.name} links to {path.name}#{anchor}"
            count += 1
    assert count > len(pages)


def test_the_search_needs_no_server(site: Path) -> None:
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert index.startswith("Search.setIndex(")
    assert '"undo"' in index or "undo:" in index


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path) -> None:
    folders = [tmp_path / "pages", tmp_path / "site"]
    lay_out(folders[0])
    page = folders[0] / TABLES
    page.write_text(page.read_text(encoding="utf-8") + "\nSee [this](requests.md#no-such-heading).\n", encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-c", str(CLONE / "docs" / "site"), *map(str, folders)]
    done = subprocess.run(command, cwd=CLONE, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "no-such-heading" in done.stderr
