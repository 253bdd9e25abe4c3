"""Something to start from: it works at once, and nothing of a person's is overwritten."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from reloads.errors import OperatorError, RequestError
from reloads.inspection.check_tables import check_tables
from reloads.settings import Settings
from reloads.tables.template import make_project, make_table


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_project_has_tables_that_are_good(tmp_path: Path) -> None:
    make_project(tmp_path / "shop")
    settings = Settings.from_environment({"RELOADS_HOME": str(tmp_path / "shop")})
    assert check_tables(settings).names == ["daily_sales", "orders"]


def test_a_second_time_nothing_changes_and_each_file_is_named(tmp_path: Path) -> None:
    made = make_project(tmp_path)
    (tmp_path / "tables" / "orders" / "query.sql").write_text("select 1")
    before = contents(tmp_path)
    again = make_project(tmp_path)
    assert (again.made, again.kept) == ((), made.made)
    assert contents(tmp_path) == before


def test_what_is_missing_is_made_beside_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    made = make_project(tmp_path)
    assert made.kept == (Path("README.md"),)
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "dags" / "reloads_dags.py").exists()


def test_a_file_is_no_place_for_a_project(tmp_path: Path) -> None:
    (tmp_path / "shop").touch()
    with pytest.raises(OperatorError, match="shop is not a folder; name one"):
        make_project(tmp_path / "shop")


def test_a_new_table_is_good_as_it_is(tmp_path: Path) -> None:
    make_table(tmp_path / "tables", "mine")
    assert check_tables(Settings.from_environment({"RELOADS_HOME": str(tmp_path)})).names == ["mine"]


def test_each_setting_that_a_new_table_leaves_out_works_when_it_is_let_in(tmp_path: Path) -> None:
    make_table(tmp_path / "tables", "mine")
    file = tmp_path / "tables" / "mine" / "table.toml"
    file.write_text(file.read_text().replace("\n# ", "\n"))
    assert {"daily", "keys", "order_by"} <= tomllib.loads(file.read_text()).keys()
    assert check_tables(Settings.from_environment({"RELOADS_HOME": str(tmp_path)})).names == ["mine"]


@pytest.mark.parametrize("name", ["Mine", "1st", "", "a b", "../up", "ä", "x" * 64])
def test_a_name_that_no_table_can_have_makes_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(RequestError, match="is not a table's name; write a lower case letter"):
        make_table(tmp_path / "tables", name)
    assert contents(tmp_path) == {}


def test_a_table_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    with pytest.raises(RequestError, match="mine is there already; choose another name"):
        make_table(tmp_path, "mine")
    assert contents(tmp_path) == {}
