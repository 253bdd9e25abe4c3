"""The files of the page: what they may not do, whatever they show."""

from __future__ import annotations

import re

import pytest

from reloads.airflow.page.static_files import FOLDER

MODULES = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.js"))}
STYLE = (FOLDER / "page.css").read_text(encoding="utf-8")
MARKUP = r"innerHTML|outerHTML|insertAdjacent|dangerously|document\.write|javascript:|\beval\b|new Function|srcdoc"
IMPORT = re.compile(r'from "([^"]+)"')


@pytest.mark.parametrize("name", MODULES)
def test_a_module_makes_no_markup_of_text(name: str) -> None:
    assert re.findall(MARKUP, MODULES[name]) == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_loads_only_modules_beside_it(name: str) -> None:
    loaded = IMPORT.findall(MODULES[name])
    assert [path for path in loaded if path.removeprefix("./") not in MODULES] == []
    assert re.findall(r"\bimport\(|https?://", MODULES[name]) == []


def test_the_styles_load_nothing() -> None:
    assert re.findall(r"@import|url\(", STYLE) == []


def test_no_module_is_left_over() -> None:
    loaded = {path.removeprefix("./") for text in MODULES.values() for path in IMPORT.findall(text)}
    assert set(MODULES) - loaded == {"page.js"}


def test_each_style_is_of_a_class_that_is_used() -> None:
    styled = set(re.findall(r"\.(rl-[a-z0-9-]+)", STYLE))
    text = "".join(MODULES.values())
    used = set(re.findall(r"\brl-[a-z0-9-]*[a-z0-9]\b", text))
    made = tuple(f"rl-{stem}" for stem in ("shade-", "fill-", "weeks-", "is-"))
    states = {f"rl-{word}" for word in re.findall(r"^  (\w+): \"", MODULES["states.js"], flags=re.MULTILINE)}
    assert {name for name in styled - used - states if not name.startswith(made)} == set()


@pytest.mark.parametrize("name", MODULES)
def test_a_line_is_at_most_120_characters_long(name: str) -> None:
    assert [line for line in MODULES[name].splitlines() if len(line) > 120] == []
