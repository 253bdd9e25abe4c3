"""Errors are sentences: with the value, what it has to be, and the nearest name; none is printed twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reloads.settings import Settings
from tests.support.command_line import call

REQUEST = {"table": "sales", "start_date": "2024-01-01"}


@pytest.fixture
def home(sales_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RELOADS_HOME", str(sales_settings.home))
    monkeypatch.chdir(sales_settings.home)
    return sales_settings.home


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"tabel": "sales", "start_date": "2024-01-01"}, 'unknown field "tabel"; write "table"; known are table, '),
        (REQUEST | {"only": "stal"}, "only \"stal\" is not valid: it has to be 'all', 'missing' or 'stale'"),
        (REQUEST | {"cascade": "maybe"}, 'cascade "maybe" is not valid: it has to be true or false'),
        (REQUEST | {"reason": 5}, "reason 5 is not valid: it has to be a text"),
        (REQUEST | {"table": "sale"}, "table 'sale' is unknown; known tables are sales, visits"),
        (REQUEST | {"table": "visit"}, "table 'visit' is unknown; known tables are visits, sales"),
    ],
)
def test_a_fault_of_a_request_names_the_value_and_what_it_has_to_be(
    home: Path, fields: dict[str, object], sentence: str
) -> None:
    (home / "mine.json").write_text(json.dumps(fields))
    told = call("check", "mine.json")
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith(f"reloads: mine.json: {sentence}")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ('first_day = "soon"', "first_day = 'soon' is not valid: it has to be a day like 2013-01-31"),
        ("keys = 5", "keys = 5 is not valid: it has to be a list"),
        ("daily = 7", "daily = 7 is not valid: it has to be true or false"),
    ],
)
def test_a_fault_of_a_table_is_said_in_our_words(home: Path, setting: str, sentence: str) -> None:
    toml = home / "tables" / "visits" / "table.toml"
    name = setting.partition(" ")[0]
    lines = [line for line in toml.read_text().splitlines() if not line.startswith(name)]
    toml.write_text("\n".join([*lines, setting]))
    told = call("check")
    assert told.code == 1
    assert sentence in told.err


def test_a_fault_of_the_sources_is_printed_once_and_each_problem_on_a_line(home: Path) -> None:
    (home / "tables" / "sources.sql").write_text("create viw x as select 1;\n")
    told = call("check")
    assert (told.code, len(told.err.splitlines())) == (1, 1)
    for name in ("sales", "visits"):
        (home / "tables" / name / "query.sql").write_text("selec 1")
    (home / "tables" / "sources.sql").unlink()
    told = call("check")
    assert (told.code, len(told.err.splitlines())) == (1, 2)
    as_json = call("check", "--json").json
    assert as_json["problems"] == [line.removeprefix("reloads: ") for line in told.err.splitlines()]
    assert (as_json["error"], as_json["exit_code"]) == (as_json["problems"][0], 1)
