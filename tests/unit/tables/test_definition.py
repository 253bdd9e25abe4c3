"""Table folders: which define a table, and the sentence that the others get."""

from pathlib import Path

import pytest

from reloads.errors import TableError
from reloads.tables.definition import load_table, table_names

GOOD_TOML = 'day_column = "day"\nfirst_day = 2024-01-01\n'


def make(folder: Path, name: str = "sales", *, query: str | None = "select 1", toml: str | None = GOOD_TOML) -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    if query is not None:
        (folder / name / "query.sql").write_text(query)
    if toml is not None:
        (folder / name / "table.toml").write_text(toml)
    return folder


def test_names_are_those_of_the_folders_without_reading_them(tmp_path: Path) -> None:
    for name in ("visits", "sales", "_drafts", ".git"):
        (tmp_path / name).mkdir()
    (tmp_path / "sources.sql").write_text("")
    assert table_names(tmp_path) == ["sales", "visits"]


def test_a_missing_folder_says_which_setting_to_change(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="nowhere is not a folder; set RELOADS_HOME or RELOADS_TABLES"):
        table_names(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["Sales", "1sales", "sales-2", "sales 2", "sälès", "s" * 64, 'sales"; drop', "sales\n"], ids=repr
)
def test_a_folder_name_that_is_unsafe_as_path_or_sql_is_refused(tmp_path: Path, name: str) -> None:
    make(tmp_path, name)
    with pytest.raises(TableError, match="a table's name is lower case letters, digits and _; rename the folder"):
        load_table(tmp_path, name)


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        pytest.param("select 1", "select 1", id="plain"),
        pytest.param("select 1 ;\n", "select 1", id="semicolon"),
        pytest.param("select 1; -- done\n", "select 1", id="comment after the semicolon"),
        pytest.param(
            "-- why;\nselect 'é;' as \"ö;\" -- what;", "select 'é;' as \"ö;\"", id="semicolons that end nothing"
        ),
        pytest.param("select 1; /* a; */ ;\n;", "select 1", id="several ends"),
        pytest.param("with a as (select 1) select * from a", "with a as (select 1) select * from a", id="with"),
        pytest.param("from range(3)", "from range(3)", id="from first"),
        pytest.param("values (1)", "values (1)", id="values"),
    ],
)
def test_one_select_of_any_form_is_a_query(tmp_path: Path, query: str, kept: str) -> None:
    assert load_table(make(tmp_path, query=query), "sales").query == kept


@pytest.mark.parametrize(
    ("query", "rule"),
    [
        pytest.param(None, "is missing", id="missing"),
        pytest.param("", "must be exactly one SELECT", id="empty"),
        pytest.param("-- nothing yet", "must be exactly one SELECT", id="only a comment"),
        pytest.param("select 1; select 2", "must be exactly one SELECT", id="two"),
        pytest.param("create view v as select 1", "must be exactly one SELECT", id="create"),
        pytest.param("copy (select 1) to 'x.csv'", "must be exactly one SELECT", id="copy"),
        pytest.param("delete from sales", "must be exactly one SELECT", id="delete"),
        pytest.param("selec 1", "does not parse: .*syntax error.*; mend the query", id="typo"),
        pytest.param("select 1) or (true", "does not parse", id="unbalanced"),
    ],
)
def test_anything_but_one_select_is_refused_naming_the_file(tmp_path: Path, query: str | None, rule: str) -> None:
    with pytest.raises(TableError, match=rule) as caught:
        load_table(make(tmp_path, query=query), "sales")
    assert str(caught.value).startswith(str(tmp_path / "sales/query.sql"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("toml", "rule"),
    [
        pytest.param(None, "is missing; every table folder holds", id="missing"),
        pytest.param("day_column = ", "is not TOML: .*; mend that line", id="not TOML"),
        pytest.param("first_day = 2024-01-01", "the setting 'day_column' is missing; add it", id="no day column"),
        pytest.param('day_column = "day"', "the setting 'first_day' is missing; add it", id="no first day"),
        pytest.param(GOOD_TOML + "dayly = true", "unknown setting 'dayly'; known are day_column, ", id="unknown"),
        pytest.param(GOOD_TOML + "daily = 1", "daily = 1 is not valid: .*boolean", id="number for yes"),
        pytest.param(GOOD_TOML + 'order_by = "id"', "order_by = 'id' is not valid: .*list", id="text for list"),
        pytest.param(GOOD_TOML + 'order_by = ["a", "b; c"]', "order_by.1 = 'b; c' is not valid", id="unsafe column"),
        pytest.param(
            'day_column = "d\'"\nfirst_day = 2024-01-01', "day_column = .* is not valid", id="unsafe day column"
        ),
        pytest.param('day_column = "day"\nfirst_day = "2024-01-01"', "first_day = .* is not valid", id="text for day"),
        pytest.param('day_column = "day"\nfirst_day = 2024-01-01T00:00:00', "first_day = .* is not valid", id="a time"),
        pytest.param(GOOD_TOML + "parallelism = -1", "parallelism = -1 is not valid", id="negative"),
        pytest.param(GOOD_TOML + "partitions_per_run = 0", "partitions_per_run = 0 is not valid", id="nothing a run"),
    ],
)
def test_a_wrong_setting_is_refused_naming_file_and_rule(tmp_path: Path, toml: str | None, rule: str) -> None:
    with pytest.raises(TableError, match=rule) as caught:
        load_table(make(tmp_path, toml=toml), "sales")
    assert str(caught.value).startswith(str(tmp_path / "sales/table.toml"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("file", ["query.sql", "table.toml"])
def test_a_file_that_is_not_utf_8_is_refused_by_name(tmp_path: Path, file: str) -> None:
    make(tmp_path)
    (tmp_path / "sales" / file).write_bytes(b"-- caf\xe9")
    with pytest.raises(TableError, match=f"{file} cannot be read: .*make it a readable UTF-8 file"):
        load_table(tmp_path, "sales")


@pytest.mark.parametrize(
    ("file", "text", "is_another"),
    [
        pytest.param("sales/query.sql", "select 2", True, id="query"),
        pytest.param("sales/table.toml", GOOD_TOML + 'order_by = ["id"]', True, id="a setting of the content"),
        pytest.param("sales/table.toml", GOOD_TOML + "daily = true", False, id="a setting that does not"),
        pytest.param("sources.sql", "create view v as select 1", True, id="sources"),
        pytest.param("sales/table.toml", GOOD_TOML + "# a comment", False, id="a comment in the settings"),
        pytest.param("sales/query.sql", "select 1;\n", False, id="a semicolon"),
        pytest.param("sales/README.md", "about", False, id="another file"),
    ],
)
def test_the_version_changes_with_what_a_table_is_made_of(
    tmp_path: Path, file: str, text: str, *, is_another: bool
) -> None:
    before = load_table(make(tmp_path), "sales").version
    (tmp_path / file).write_text(text)
    assert (load_table(tmp_path, "sales").version != before) is is_another


def test_a_severity_without_a_check_is_refused(tmp_path: Path) -> None:
    make(tmp_path, toml=GOOD_TOML + '[checks.few]\nseverity = "warn"')
    with pytest.raises(TableError, match=r"checks names 'few' but there is no checks\.sql; write it, or remove the"):
        load_table(tmp_path, "sales")
