"""The reference is written from the code, and says all that it is to say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from docs.site.command_page import command_names
from docs.site.fields import default_of, meaning_of
from reloads.settings import PREFIX, Settings
from reloads.tables.definition import TableSettings
from tests.unit.documents.pages import CLONE, Page

REFERENCE = CLONE / "docs" / "reference"
BY_HAND = {"views.md"}


def test_the_reference_is_what_the_code_says_today(tmp_path: Path) -> None:
    # Airflow lays its own files into its home as soon as the API is imported.
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path / "airflow")}
    written = tmp_path / "reference"
    command = [sys.executable, "-m", "docs.site.reference", str(written)]
    subprocess.run(command, cwd=CLONE, env=environment, check=True, capture_output=True)
    assert {path.name for path in REFERENCE.iterdir()} == {path.name for path in written.iterdir()} | BY_HAND
    for path in written.iterdir():
        assert (REFERENCE / path.name).read_text() == path.read_text(), f"{path.name} is not the code's; run make docs"


def test_every_setting_has_a_meaning_and_a_default() -> None:
    rows = Page("docs/reference/settings.md").rows(rf"{PREFIX}[A-Z_]+")
    assert list(rows) == [PREFIX + name.upper() for name in Settings.model_fields]
    assert all(rows.values())


def test_a_default_is_written_as_a_person_writes_it() -> None:
    fields = TableSettings.model_fields
    assert default_of(fields["day_column"], is_toml=True) == "required"
    assert default_of(fields["keys"], is_toml=True) == "`[]`"
    assert default_of(fields["on_empty"], is_toml=True) == '`"refuse"`'
    assert default_of(fields["due"], is_toml=True) == "none"
    assert default_of(fields["reads"], is_toml=True) == "the same day"
    assert default_of(Settings.model_fields["landing"], is_toml=False) == "`landing`"


def test_a_field_without_a_description_stops_the_pages() -> None:
    with pytest.raises(ValueError, match="has no description"):
        meaning_of(None)


def test_every_command_has_a_section() -> None:
    assert {"plan", "undo"} < set(command_names())
    headings = Page("docs/reference/commands.md").anchors()
    assert {f"reloads-{name}" for name in command_names()} < headings
