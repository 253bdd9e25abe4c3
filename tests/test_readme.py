"""What the README says is so: its code blocks run, its tables list what the code has."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import pytest

from reloads.requests.drop_folder import read_requests
from reloads.requests.request import ReloadRequest
from reloads.settings import PREFIX, Settings
from reloads.tables.catalog import Catalog
from reloads.tables.definition import TableSettings

CLONE = Path(__file__).parents[1]
README = (CLONE / "README.md").read_text()
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/RESULTS.md"]


def blocks(language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", README, flags=re.MULTILINE | re.DOTALL)
    return [text for _, text in found]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone's folders, with the source laid out."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(CLONE / "tables", home / "tables")
    shutil.copytree(CLONE / "landing" / "examples", home / "landing" / "examples")
    source = home / ".local" / "source"
    subprocess.run([sys.executable, str(CLONE / "examples" / "make_source.py"), str(source)], check=True)
    return home


def shell(command: str, home: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "RELOADS_HOME": str(home)}
    return subprocess.run(
        command, shell=True, cwd=home, env=environment, text=True, capture_output=True, timeout=120, check=False
    )


def test_every_request_of_the_readme_is_good(home: Path) -> None:
    assert blocks("json")
    for block in blocks("json"):
        json.loads(block)
        assert read_requests(block.encode(), catalog=Catalog.load(home / "tables"), today=date(2026, 1, 1))


@pytest.mark.parametrize("example", sorted((CLONE / "landing" / "examples").glob("*.json")), ids=lambda path: path.stem)
def test_every_example_request_is_good(home: Path, example: Path) -> None:
    assert read_requests(example.read_bytes(), catalog=Catalog.load(home / "tables"), today=date(2026, 1, 1))


def test_the_commands_of_the_readme_run(home: Path) -> None:
    commands = [line.partition("#")[0].strip() for block in blocks("bash") for line in block.splitlines()]
    assert commands
    for command in commands:
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:.*##", (CLONE / "Makefile").read_text(), flags=re.MULTILINE)
        elif command.startswith("export PATH="):
            continue  # the test has the commands in its path already
        else:
            # Nobody works here, so there is nothing to wait for; the end-to-end tests wait.
            done = shell(command.replace(" --wait", ""), home)
            assert done.returncode == 0, done.stderr


def test_the_query_of_the_readme_reads_the_warehouse(home: Path) -> None:
    done = shell("reloads run flights 2013-01-01 2013-01-03", home)
    assert done.returncode == 0, done.stderr
    query, _ = blocks("sql")
    rows = duckdb.execute(query.replace("'warehouse/", f"'{home}/warehouse/")).fetchall()
    assert {str(day): flights for day, flights, _ in rows} == {"2013-01-01": 842, "2013-01-02": 943, "2013-01-03": 914}


def test_the_table_of_the_readme_can_be_added(home: Path) -> None:
    settings, more = blocks("toml")
    _, checks = blocks("sql")
    folder = home / "tables" / "visits"
    folder.mkdir()
    query = "select date '2024-01-01' as event_date, 'welcome' as page, getvariable('rows_per_page') as rows_per_page"
    (folder / "query.sql").write_text(query)
    (folder / "table.toml").write_text(f"{settings}\n{more}")
    (folder / "checks.sql").write_text(checks)
    assert shell("reloads check", home).returncode == 0
    done = shell("reloads run visits 2024-01-01 --parameter rows_per_page=5", home)
    assert "1 rows" in done.stdout, done.stderr
    (folder / "query.sql").write_text(query.replace("'welcome'", "''"))
    refused = shell("reloads run visits 2024-01-01", home)
    assert "the check pages_have_names of 2024-01-01 says" in refused.stderr


def test_the_readme_lists_every_setting_with_its_description() -> None:
    rows = dict(re.findall(rf"^\| `({PREFIX}[A-Z_]+)` \| .*? \| (.*) \|$", README, flags=re.MULTILINE))
    assert list(rows) == [PREFIX + name.upper() for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        said = (field.description or "").partition("; default")[0]
        assert said in rows[PREFIX + name.upper()], name


def test_the_readme_lists_every_setting_of_a_table() -> None:
    rows = dict(re.findall(r"^\| `([a-z_]+)` \| .*? \| (.*) \|$", README, flags=re.MULTILINE))
    for name, field in TableSettings.model_fields.items():
        assert rows[name] == (field.description or "").partition("; default")[0], name


def test_the_readme_lists_every_field_of_a_request() -> None:
    section = README.partition("## A request")[2].partition("## The folders")[0]
    assert [name for name in ReloadRequest.model_fields if f"`{name}`" not in section] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_somewhere(document: str) -> None:
    text = (CLONE / document).read_text()
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert [link for link in links if not ((CLONE / document).parent / link).exists()] == []
