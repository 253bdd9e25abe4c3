"""The pages as Sphinx reads them: those of the clone at their places, and the README as the first of them.

A page links to another by its path in the clone, so every link works in an editor, on a code host and in the site.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from docs.site.navigation import CLONE, START, TITLES, sections

INDEX = "index.md"
ORPHAN = "---\norphan: true\n---\n"
"""What Sphinx wants to read in a page that stands in no table of contents."""

_LINK = re.compile(r"(!?\[[^\]]*\]\()(?!https?:|#)([^)\s#]+)")
_PICTURE = re.compile(r"^(!\[[^\]]*\])\(([^)\s]+)-light\.(png|svg)\)$", re.MULTILINE)
_CODE_HOST_PICTURE = re.compile(
    r'<picture>\s*<source [^>]*srcset="([^"]+)-dark\.svg">\s*<img alt="([^"]+)" src="\1-light\.svg"[^>]*>\s*</picture>'
)
"""One in light and dark as a code host shows it."""


def lay_out(folder: Path) -> None:
    """Write all pages, and whatever they link to, into a new ``folder``."""
    listed = {name for _, names in sections() for name in names}
    done: set[str] = set()
    waiting = set(listed)
    while waiting:
        name = waiting.pop()
        done.add(name)
        place = folder / (INDEX if name == START else name)
        place.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".md"):
            text = (CLONE / name).read_text(encoding="utf-8")
            waiting |= set(_targets(name, text)) - done
            place.write_text(_page(name, text, is_listed=name in listed), encoding="utf-8")
        else:
            shutil.copyfile(CLONE / name, place)


def _targets(name: str, text: str) -> Iterator[str]:
    """The files of the clone that a page links to, or shows; Sphinx complains of one that is not there."""
    for _, target in _LINK.findall(_add_dark_pictures(text)):
        path = (CLONE / name).parent / target
        if path.is_file():
            yield path.resolve().relative_to(CLONE).as_posix()


def _page(name: str, text: str, *, is_listed: bool) -> str:
    """A page as Sphinx is to read it."""

    def point_at_index(link: re.Match[str]) -> str:
        is_start = ((CLONE / name).parent / link[2]).resolve() == CLONE / START
        return link[1] + (link[2].removesuffix(START) + INDEX if is_start else link[2])

    page = _LINK.sub(point_at_index, _add_dark_pictures(text))
    if name == START:
        return page + _contents()
    return page if is_listed else ORPHAN + page


def _add_dark_pictures(text: str) -> str:
    """Let each picture be there twice; the theme shows the one that goes with it."""
    text = _CODE_HOST_PICTURE.sub(r"![\2](\1-light.svg)", text)
    return _PICTURE.sub(r"\1(\2-light.\3){.only-light}\n\1(\2-dark.\3){.only-dark}", text)


def _entry(page: str) -> str:
    """A line of the navigation; the first page calls itself so."""
    place = "self" if page == START else page
    return f"{TITLES[page]} <{place}>" if page in TITLES else place


def _contents() -> str:
    """The navigation."""
    trees = []
    for heading, pages in sections():
        entries = [_entry(page) for page in pages]
        trees.append(f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n" + "\n".join(entries) + "\n```\n")
    return "".join(trees)
