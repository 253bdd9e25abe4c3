"""What the documents name is what there is: variables, columns, commands, files and headings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from login_throttle import AT_ONCE, MAX_SOURCES, PATHS, SECONDS

from reloads.cli.exit_codes import MEANINGS
from reloads.cli.main import COMMANDS
from tests.unit.cli.kept_outputs import COMMANDS as KEPT
from tests.unit.cli.kept_outputs import FOLDER
from tests.unit.documents.pages import CLONE, Page, names_of, pages

REQUESTS = Page("docs/requests.md")
OPERATIONS = Page("docs/operations.md")
SETTINGS = Page("docs/reference/settings.md")
VIEWS = Page("docs/reference/views.md")
RELOADS = Path(sys.executable).with_name("reloads")


def reloads(*arguments: str, home: Path = CLONE) -> str:
    """What the command prints."""
    environment = {"RELOADS_HOME": str(home), "RELOADS_TABLES": str(CLONE / "tables")}
    return subprocess.run(
        [RELOADS, *arguments], env=environment, check=True, capture_output=True, text=True, cwd=home
    ).stdout


@pytest.mark.parametrize("view", ["requests", "partitions", "calendar"])
def test_every_column_of_a_view_is_listed(tmp_path: Path, view: str) -> None:
    _, _, table = VIEWS.text.partition(f"| column of `{view}` |")
    listed = re.findall(r"^\| `([a-z_]+)` \|", table.partition("\n\n")[0], flags=re.MULTILINE)
    columns = reloads("sql", f"select column_name from (describe from {view})", "--csv", home=tmp_path)
    assert ["column_name", *listed] == columns.split()


def test_every_variable_of_the_containers_is_listed_and_a_renamed_one_is_in_the_changelog() -> None:
    compose = (CLONE / "docker-compose.yaml").read_text(encoding="utf-8")
    variables = set(re.findall(r"\$\{([A-Z_]+)", compose))
    listed = set(re.findall(r"`([A-Z_]+)`", OPERATIONS.text + SETTINGS.text))
    renamed = set(re.findall(r"`([A-Z_]+)`[^`]* is now `", Page("CHANGELOG.md").text))
    assert listed & renamed == set()
    assert variables - listed - renamed == set()


def test_the_throttle_goes_by_the_numbers_and_paths_that_the_page_names() -> None:
    section = OPERATIONS.section("### Wrong logins")
    assert f"{AT_ONCE} wrong logins are answered at once, and then one every {SECONDS:.0f} seconds" in section
    assert f"For {MAX_SOURCES:,} addresses" in section
    assert set(re.findall(r"`POST ([^`]+)`", section)) == PATHS


@pytest.mark.parametrize("page", pages(), ids=names_of)
def test_every_command_that_a_page_names_is_there(page: Page) -> None:
    targets = re.findall(r"^([a-z-]+):.*##", (CLONE / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    commands = re.findall(r"^  ([a-z]+)  ", reloads("--help").partition("Commands:")[2], flags=re.MULTILINE)
    named = re.findall(r"`(make|reloads) ([a-z][a-z-]+)", page.text)
    assert [word for program, word in named if word not in (targets if program == "make" else commands)] == []


def test_every_command_is_listed_with_the_first_line_of_its_help() -> None:
    helped = re.findall(r"^  ([a-z]+)  +(.+)$", reloads("--help").partition("Commands:")[2], flags=re.MULTILINE)
    assert list(REQUESTS.rows("reloads [a-z]+").items()) == [(f"reloads {name}", words) for name, words in helped]


def test_every_exit_code_is_listed_with_its_meaning() -> None:
    assert REQUESTS.rows("[0-9]+") == {str(code.value): meaning for code, meaning in MEANINGS.items()}


def test_every_field_of_the_document_of_a_command_is_listed() -> None:
    _, _, table = REQUESTS.text.partition("The documents of `--json`:")
    rows = dict(re.findall(r"^\| `([a-z]+)` \| (.*) \|$", table, flags=re.MULTILINE))
    assert list(rows) == COMMANDS
    for name, arguments in KEPT.items():
        value = kept_document(name)
        # A record and the days of a table have pages of their own.
        if "exit_code" not in value and not {"id", "day_column", "key_rows"} & set(value):
            assert set(value) <= set(re.findall(r"`([a-z_]+)`", rows[arguments[0]])) | {"requests", "timed_out"}, (
                arguments
            )


def test_the_fields_of_a_request_are_listed() -> None:
    [line] = re.findall(r"A request has the names of the page's API: (.*?)\. `seconds`", REQUESTS.text, flags=re.DOTALL)
    for name in ("status", "run"):
        for request in kept_document(name)["requests"]:
            assert set(request) - {"checks"} == set(re.findall(r"`([a-z_]+)`", line))


def kept_document(name: str) -> dict[str, Any]:
    """The JSON document that a kept output holds; none where the form is not kept."""
    path = FOLDER / f"{name}.json.txt"
    if not path.exists():
        return {"exit_code": 0}
    text = path.read_text(encoding="utf-8").partition("\n")[2]
    document: dict[str, Any] = json.loads(text.partition("\n---")[0])
    return document


@pytest.mark.parametrize("page", pages(), ids=names_of)
def test_every_link_between_pages_leads_somewhere(page: Page) -> None:
    for file, anchor in page.links():
        assert file.exists(), f"{page.name} links to {file}"
        if anchor:
            assert anchor in Page(str(file.relative_to(CLONE))).anchors(), f"{page.name} links to {file}#{anchor}"
