"""Table folders: which define a table, and the sentence that the others get."""

import re
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.errors import TableError
from reloads.tables.catalog import Catalog
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
        pytest.param(GOOD_TOML + "daily = 1", "daily = 1 is not valid: it has to be true or f", id="number for yes"),
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


SOURCES = "create view raw as select 1 as n;\ncreate view clean as from raw;\ncreate view other as select 2 as n;\n"


@pytest.mark.parametrize(
    ("file", "text", "is_another"),
    [
        pytest.param("sales/query.sql", "select 2", True, id="query"),
        pytest.param("sales/table.toml", GOOD_TOML + 'order_by = ["id"]', True, id="a setting of the content"),
        pytest.param("sales/table.toml", GOOD_TOML + "daily = true", False, id="a setting that does not"),
        pytest.param("sales/table.toml", GOOD_TOML + "# a comment", False, id="a comment in the settings"),
        pytest.param("sales/query.sql", "/* all */ from\n\tclean -- of them\n;\n", False, id="comments in the query"),
        pytest.param("sales/query.sql", 'from "clean"', True, id="quotes, to be safe"),
        pytest.param("sales/README.md", "about", False, id="another file"),
        pytest.param("sources.sql", SOURCES.replace("1", "3"), True, id="a source of a source"),
        pytest.param("sources.sql", SOURCES.replace("2", "3"), False, id="a source that it does not read"),
        pytest.param("sources.sql", SOURCES + "create view v as selec", False, id="a new one, also a broken one"),
        pytest.param("sources.sql", "-- raw\n" + SOURCES.replace(" ", "  /* ; */\n"), False, id="comments"),
        pytest.param("sources.sql", "set variable n = 1;" + SOURCES, True, id="what cannot be told apart"),
    ],
)
def test_the_version_changes_with_what_a_table_is_made_of(
    tmp_path: Path, file: str, text: str, *, is_another: bool
) -> None:
    make(tmp_path, query="from clean")
    (tmp_path / "sources.sql").write_text(SOURCES)
    before = load_table(tmp_path, "sales").version
    (tmp_path / file).write_text(text)
    assert (load_table(tmp_path, "sales").version != before) is is_another


VIEWS = 5
# Which earlier views each view reads, and which views each table reads.
view_reads = st.tuples(*(st.sets(st.integers(0, view - 1)) if view else st.just(set()) for view in range(VIEWS)))
table_reads = st.lists(st.sets(st.integers(0, VIEWS - 1)), min_size=2, max_size=3)
GAPS = ("  ", "\n", " -- it's; \"raw\n", " /* from v0 /* ; */ */ ", "\t/**/")


def reading(constant: str, reads: set[int]) -> str:
    return " union all ".join([f"select '{constant}' as n", *(f"select n from v{read}" for read in sorted(reads))])


def sources_of(reads: Sequence[set[int]], constants: Sequence[str]) -> str:
    pairs = zip(constants, reads, strict=True)
    return "".join(f"create view v{n} as {reading(text, views)};\n" for n, (text, views) in enumerate(pairs))


@given(view_reads, table_reads, st.integers(0, VIEWS - 1), st.sampled_from(("b", "a ", " a", "--a", "A")), st.data())
def test_an_edit_makes_exactly_the_readers_stale(
    views: Sequence[set[int]], tables: list[set[int]], edited: int, constant: str, data: st.DataObject
) -> None:
    names = [f"t{number}" for number in range(len(tables))]
    with TemporaryDirectory() as home:
        folder = Path(home)
        for name, reads in zip(names, tables, strict=True):
            make(folder, name, query=reading("a", reads))

        def versions() -> list[str]:
            return [load_table(folder, name).version for name in names]

        (folder / "sources.sql").write_text(sources_of(views, ["a"] * VIEWS))
        before = versions()

        # A model of its own: who reaches the edited view.
        reaching = {edited}
        for view in range(edited, VIEWS):
            if views[view] & reaching:
                reaching.add(view)
        constants = ["a"] * VIEWS
        constants[edited] = constant
        text = sources_of(views, constants)
        (folder / "sources.sql").write_text(text)
        edits = [new != old for new, old in zip(versions(), before, strict=True)]
        assert edits == [bool(reads & reaching) for reads in tables]

        (folder / "sources.sql").write_text(with_gaps(sources_of(views, ["a"] * VIEWS), data))
        assert versions() == before


def with_gaps(sql: str, data: st.DataObject) -> str:
    """The text with other white space and comments between some words; its literals hold no blanks."""
    words = sql.split(" ")
    gaps = data.draw(st.lists(st.sampled_from((" ", *GAPS)), min_size=len(words), max_size=len(words)))
    return "".join(word + gap for word, gap in zip(words, gaps, strict=True))


@pytest.mark.parametrize(
    ("file", "cure"),
    [
        pytest.param("check.sql", "rename it to checks.sql or remove it", id="a letter less"),
        pytest.param("Checks.SQL", "rename it to checks.sql or remove it", id="another case"),
        pytest.param("table.yaml", "rename it to table.toml or remove it", id="another format"),
        pytest.param("part.parquet", "or remove it", id="a file of something else"),
    ],
)
def test_a_file_that_would_never_be_read_is_refused_with_the_nearest_name(tmp_path: Path, file: str, cure: str) -> None:
    (make(tmp_path) / "sales" / file).write_text("create view v as select 1")
    with pytest.raises(TableError, match=cure) as caught:
        load_table(tmp_path, "sales")
    rule = "would never be read: a table folder holds query.sql, table.toml, checks.sql, and texts as *.md"
    assert str(caught.value).startswith(f"{tmp_path / 'sales' / file} {rule}; rename it to ")


@pytest.mark.parametrize(
    "file",
    [".query.sql.swp", ".DS_Store", "README.md", "notes.MD", "query.sql~", "#query.sql#", "query.sql.bak", "x.orig"],
)
def test_texts_hidden_files_and_what_editors_leave_are_fine(tmp_path: Path, file: str) -> None:
    (make(tmp_path) / "sales" / file).write_text("anything")
    (tmp_path / "sales" / "notebooks").mkdir()
    assert load_table(tmp_path, "sales").name == "sales"


PARAMETER = GOOD_TOML + '[parameters.Least]\ntype = "integer"\ndefault = 1\n'.replace("Least", "least_visits")


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        pytest.param("sales/query.sql", "select getvariable('least_visit')", "least_visit", id="query"),
        pytest.param("sales/query.sql", "with a as (select GetVariable('Typo')) select 1", "typo", id="anywhere in it"),
        pytest.param("sales/checks.sql", "create view c as select getvariable('typo')", "typo", id="checks"),
        pytest.param("sources.sql", "create view raw as select getvariable('typo')", "typo", id="a source it reads"),
    ],
)
def test_a_variable_that_nobody_sets_is_refused_with_the_nearest_names(
    tmp_path: Path, file: str, text: str, fault: str
) -> None:
    make(tmp_path, query="from raw", toml=PARAMETER)
    (tmp_path / file).write_text(text)
    with pytest.raises(TableError) as caught:
        load_table(tmp_path, "sales")
    for_whom = " for 'sales'" if file == "sources.sql" else ""
    names = "least_visits, source" if fault == "least_visit" else ".*"
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path / file))}: getvariable\('{fault}'\) is NULL{for_whom}, as nobody sets it; "
        rf"declare the parameter in table\.toml, or write one of {names}",
        str(caught.value),
    )


def test_variables_that_somebody_sets_or_that_are_computed_are_fine(tmp_path: Path) -> None:
    names = "getvariable('LEAST_VISITS'), getvariable('source'), getvariable('fixed'), getvariable('a' || 'b')"
    make(tmp_path, query=f"select {names} from raw", toml=PARAMETER)
    (tmp_path / "sources.sql").write_text(
        "create view raw as select getvariable('least_visits'); create view other as select getvariable('typo');"
        "set variable fixed = 1"
    )
    assert load_table(tmp_path, "sales").name == "sales"


@pytest.mark.parametrize("statement", ["create view Visits as", "create or replace table visits as"])
def test_a_source_named_like_a_table_folder_breaks_that_table_and_all_that_read_the_name(
    tmp_path: Path, statement: str
) -> None:
    queries = {"visits": "select 1", "sums": "from visits", "sales": "from clean", "apart": "from raw"}
    for name, query in queries.items():
        make(tmp_path, name, query=query)
    (tmp_path / "sources.sql").write_text(
        f"{statement} select 1; create view clean as from visits; create view raw as select 1"
    )
    broken = Catalog.load(tmp_path).broken
    assert sorted(broken) == ["sales", "sums", "visits"]
    for name, error in broken.items():
        assert re.fullmatch(
            rf"{re.escape(str(tmp_path / 'sources.sql'))}: the (view|table) visits is named like the table folder "
            rf"visits, and '{name}' could mean either; rename one of them",
            str(error),
        )


def test_a_macro_may_be_named_like_a_table(tmp_path: Path) -> None:
    make(tmp_path, query="select sales(1)")
    (tmp_path / "sources.sql").write_text("create macro sales(n) as n")
    assert load_table(tmp_path, "sales").inputs == {}


def test_a_severity_without_a_check_is_refused(tmp_path: Path) -> None:
    make(tmp_path, toml=GOOD_TOML + '[checks.few]\nseverity = "warn"')
    with pytest.raises(TableError, match=r"checks names 'few' but there is no checks\.sql; write it, or remove the"):
        load_table(tmp_path, "sales")
