"""The pictures: each that a page shows is there, in light and dark, each is shown, and all are small."""

from __future__ import annotations

import re

import pytest
from PIL import Image

from docs.site.pictures import PICTURES, SIZE, THEMES
from tests.unit.documents.pages import Page, names_of, pages

MAX_BYTES = 600_000
WITH_PICTURES = [page for page in pages() if "![" in page.text]


def shown(page: Page) -> list[tuple[str, str]]:
    """The text and the file of each picture of a page."""
    return re.findall(r"!\[([^\]]*)\]\(([^)\s]+)\)", page.text)


@pytest.mark.parametrize("page", WITH_PICTURES, ids=names_of)
def test_a_picture_of_a_page_is_there_and_says_in_words_what_it_shows(page: Page) -> None:
    for words, name in shown(page):
        picture = (page.path.parent / name).resolve()
        assert picture.parent == PICTURES
        assert picture.is_file()
        assert picture.name.endswith("-light.png")
        assert len(words.split()) > 3, name


def test_every_picture_is_shown_and_there_in_light_and_dark() -> None:
    names = {name.rpartition("/")[2].removesuffix("-light.png") for page in WITH_PICTURES for _, name in shown(page)}
    assert {path.name for path in PICTURES.iterdir()} == {f"{name}-{theme}.png" for name in names for theme in THEMES}


def test_all_pictures_are_of_one_size_and_small() -> None:
    paths = sorted(PICTURES.iterdir())
    sizes = set()
    for path in paths:
        with Image.open(path) as picture:
            sizes.add(picture.size)
    assert sizes == {(SIZE["width"], SIZE["height"])}
    assert sum(path.stat().st_size for path in paths) < MAX_BYTES
