"""File sources: what a section may say, the sentence that the others get, and whom a fault concerns."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from reloads.errors import TableError
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table, load_table
from reloads.tables.file_sources import FileSources
from tests.conftest import define_table

FLIGHTS = '[flight_files]\nfiles = "flights/{day}/flights.csv"\n'
READ = "from read_csv(getvariable('{}'))"


def write(tables: Path, toml: str, *, views: str = "") -> Path:
    tables.mkdir(exist_ok=True)
    (tables / "sources.toml").write_text(toml)
    (tables / "sources.sql").write_text(views)
    return tables


def define(tables: Path, query: str, toml: str = "", *, name: str = "sales", checks: str = "") -> Table:
    folder = define_table(tables, name, query, toml)
    if checks:
        (folder / "checks.sql").write_text(checks)
    return load_table(tables, name)


def fault_of(tables: Path, variable: str) -> str:
    """The sentence that the readers of the variable get."""
    with pytest.raises(TableError) as refused:
        FileSources.load(tables).of_variable(variable)
    return str(refused.value)


# --- what a section may say -----------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_has_no_sources(tmp_path: Path) -> None:
    sources = FileSources.load(tmp_path)
    assert (sources.sources, sources.faults, sources.fault) == ({}, {}, None)
    assert sources.of_variable("flight_files") is None


def test_a_section_needs_no_more_than_its_files(tmp_path: Path) -> None:
    source = FileSources.load(write(tmp_path, FLIGHTS)).of_variable("flight_files")
    assert source is not None
    assert source.files.pattern(date(2024, 2, 29)) == "flights/2024-02-29/flights.csv"
    assert (source.marker, source.optional, source.compare) == (None, False, "times")


def test_a_section_may_say_all_of_it(tmp_path: Path) -> None:
    toml = '[x1]\nfiles = "w/{month}/*.csv"\nmarker = "w/{month:%Y%m}.ok"\noptional = true\ncompare = "content"'
    source = FileSources.load(write(tmp_path, toml)).of_variable("x1")
    assert source is not None
    assert source.marker is not None
    assert source.marker.pattern(date(2024, 2, 29)) == "w/202402.ok"
    assert (source.optional, source.compare) == (True, "content")


# --- faults of a section --------------------------------------------------------------------------------------------

FILES = 'files = "{day}.csv"\n'


@pytest.mark.parametrize(
    ("section", "fault"),
    [
        pytest.param("", '[x] lacks files; write files = "flights/{day}/*.csv", say', id="no files"),
        pytest.param(
            FILES + 'mark = "{day}"',
            "[x] has the unknown setting 'mark'; known are files, marker, optional, compare",
            id="an unknown setting",
        ),
        pytest.param(
            FILES + '"a\\nb" = 1',
            "[x] has the unknown setting 'a\\nb'; known are files, marker, optional, compare",
            id="one that is not seen",
        ),
        pytest.param(
            "files = 5",
            '[x] files is not valid: 5 is not a text; write one like "flights/{day}/*.csv"',
            id="a number for files",
        ),
        pytest.param(
            'files = "flights.csv"',
            "[x] files is not valid: 'flights.csv' does not say which date a file is of; "
            "write {day}, {month} or {year} in it",
            id="a template without a date",
        ),
        pytest.param(
            FILES + 'marker = "../{day}"',
            "[x] marker is not valid: '../{day}' is no path below the source folder; "
            "write one like flights/{day}/*.csv",
            id="a marker that leads out",
        ),
        pytest.param(
            FILES + 'marker = "{month}.ok"',
            "[x] has a marker for each month and files for each day; give both the same date",
            id="a marker of another period",
        ),
        pytest.param(
            FILES + 'marker = "{day}/*.ok"',
            "[x] has the marker '{day}/*.ok', which is one file; write it without * and ?",
            id="a marker of many names",
        ),
        pytest.param(
            FILES + 'optional = "yes"',
            "[x] optional = 'yes' is not valid: it has to be true or false",
            id="a text for yes",
        ),
        pytest.param(
            FILES + 'compare = "size"',
            "[x] compare = 'size' is not valid: it has to be 'times' or 'content'",
            id="an unknown way to compare",
        ),
    ],
)
def test_a_bad_section_gets_one_sentence_with_value_rule_and_cure(tmp_path: Path, section: str, fault: str) -> None:
    write(tmp_path, f"[x]\n{section}")
    assert fault_of(tmp_path, "x") == f"{tmp_path / 'sources.toml'}: {fault}"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        pytest.param('x = "{day}.csv"', "x = '{day}.csv' is not a section", id="a text"),
        pytest.param("[[x]]\nfiles = 1", "x = [{'files': 1}] is not a section", id="a list of sections"),
    ],
)
def test_what_is_no_section_is_told_to_be_one(tmp_path: Path, line: str, fault: str) -> None:
    write(tmp_path, line)
    assert fault_of(tmp_path, "x") == f'{tmp_path / "sources.toml"}: {fault}; write [x] and files = "…" below it'


@pytest.mark.parametrize("name", ["Flights", "1x", "x-y", "x y", "größe", "x" * 64, "", "x'; drop", "a\\nb"], ids=repr)
def test_a_name_that_is_none_of_a_variable_is_refused_on_one_line(tmp_path: Path, name: str) -> None:
    [fault] = FileSources.load(write(tmp_path, f'["{name}"]\n{FILES}')).faults.values()
    rule = "is not that of a variable; use up to 63 lower case letters, digits and _"
    assert str(fault) == f"{tmp_path / 'sources.toml'}: the name [{name}] {rule}"


def test_no_section_may_be_called_source(tmp_path: Path) -> None:
    write(tmp_path, f"[source]\n{FILES}")
    rule = "[source] is the name of the folder of all raw files; name the section otherwise"
    assert fault_of(tmp_path, "source") == f"{tmp_path / 'sources.toml'}: {rule}"


def test_a_long_value_is_shown_in_part(tmp_path: Path) -> None:
    write(tmp_path, f"x = {list(range(100_000))}\n")
    assert len(fault_of(tmp_path, "x")) < 300 + len(str(tmp_path))
    [fault] = FileSources.load(write(tmp_path, f'["{"X" * 100_000}"]\n{FILES}')).faults.values()
    assert len(str(fault)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize("bad", ["[x]\n", '["x y"]\n', "[source]\n", "x = 1\n"], ids=str.strip)
def test_a_bad_section_leaves_the_others_good(tmp_path: Path, bad: str) -> None:
    sources = FileSources.load(write(tmp_path, bad + FLIGHTS))
    assert list(sources.sources) == ["flight_files"]
    assert len(sources.faults) == 1


# --- faults of the file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        pytest.param(b"[x", "is not TOML: .*; mend that line", id="not TOML"),
        pytest.param(b"[x]\n[x]\n", "is not TOML: .*; mend that line", id="a section twice"),
        pytest.param(b"# caf\xe9\n", "cannot be read: .*; make it a readable UTF-8 file", id="not UTF-8"),
        pytest.param(b"x = " + b"9" * 5000, "holds a value that is too large .*; remove it", id="a huge number"),
        pytest.param(b"x = " + b"[" * 5000, "holds a value that is too large .*; remove it", id="a deep list"),
    ],
)
def test_a_broken_file_gets_one_sentence(tmp_path: Path, content: bytes, fault: str) -> None:
    (tmp_path / "sources.toml").write_bytes(content)
    sources = FileSources.load(tmp_path)
    assert sources.sources == {}
    with pytest.raises(TableError, match=f"^{tmp_path}/sources.toml {fault}$"):
        raise sources.fault or AssertionError


def test_a_file_that_cannot_be_read_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sources.toml").mkdir()
    with pytest.raises(TableError, match=r"sources.toml cannot be read: .*; make it a readable UTF-8 file$"):
        raise FileSources.load(tmp_path).fault or AssertionError


# --- whom a fault concerns ------------------------------------------------------------------------------------------

VIEWS = """
    create view raw as from read_csv(getvariable('bad'));
    create view clean as from raw;
    create view good as from read_csv(getvariable('flight_files'));
    create macro bad_rows() as table select * from read_csv(getvariable('bad'));
"""
TABLES = {
    "by_view": "from raw",
    "by_two_views": "from clean",
    "by_macro": "from bad_rows()",
    "itself": READ.format("bad"),
    "in_another_case": READ.format("BAD"),
    "apart": "from good",
    "of_the_folder": READ.format("source"),
    "of_nothing": "select 1",
}
READERS = ["by_macro", "by_two_views", "by_view", "in_another_case", "itself"]


def test_a_bad_section_breaks_only_the_tables_that_read_its_variable(tmp_path: Path) -> None:
    write(tmp_path, "[bad]\n" + FLIGHTS, views=VIEWS)
    for name, query in TABLES.items():
        define_table(tmp_path, name, query)
    define_table(tmp_path, "checked", "select 1")
    (tmp_path / "checked" / "checks.sql").write_text("create view c as from clean")
    broken = Catalog.load(tmp_path).broken
    assert sorted(broken) == sorted([*READERS, "checked"])
    assert {str(error) for error in broken.values()} == {fault_of(tmp_path, "bad")}


def test_a_section_called_source_breaks_those_who_read_the_folder(tmp_path: Path) -> None:
    write(tmp_path, f"[source]\n{FILES}[bad]\n{FILES}{FLIGHTS}", views=VIEWS)
    for name, query in TABLES.items():
        define_table(tmp_path, name, query)
    assert sorted(Catalog.load(tmp_path).broken) == ["of_the_folder"]


def test_a_reader_of_a_section_in_capitals_learns_that_its_name_is_bad(tmp_path: Path) -> None:
    write(tmp_path, f"[Flights]\n{FILES}")
    with pytest.raises(TableError, match=r"the name \[Flights\] is not that of a variable"):
        define(tmp_path, READ.format("Flights"))


def test_a_bad_name_does_not_hide_the_good_one_of_other_letters(tmp_path: Path) -> None:
    write(tmp_path, f"[Flight_files]\n{FILES}{FLIGHTS}")
    assert list(define(tmp_path, READ.format("flight_files")).file_sources) == ["flight_files"]


def test_a_broken_file_breaks_only_tables_that_read_a_variable_that_nobody_else_sets(tmp_path: Path) -> None:
    write(tmp_path, "[flight_files", views="set variable fixed = 'x.csv';" + VIEWS)
    for name, query in TABLES.items():
        define_table(tmp_path, name, query)
    define_table(tmp_path, "fixed", READ.format("fixed"))
    define_table(
        tmp_path, "asked", "select getvariable('least')", '[parameters.least]\ntype = "integer"\ndefault = 1\n'
    )
    broken = Catalog.load(tmp_path).broken
    assert sorted(broken) == sorted([*READERS, "apart"])
    assert {str(error) for error in broken.values()} == {str(FileSources.load(tmp_path).fault)}


def test_a_parameter_called_like_a_source_breaks_its_readers(tmp_path: Path) -> None:
    write(tmp_path, FLIGHTS)
    parameter = '[parameters.flight_files]\ntype = "text"\ndefault = "a"\n'
    assert define(tmp_path, "select 1", parameter).file_sources == {}
    with pytest.raises(TableError, match=r"\[flight_files\] is a parameter or a variable, too; rename one of them$"):
        define(tmp_path, READ.format("flight_files"), parameter)


def test_a_variable_of_sources_sql_called_like_a_source_breaks_its_readers(tmp_path: Path) -> None:
    write(tmp_path, FLIGHTS, views="set variable Flight_files = 'a'")
    with pytest.raises(TableError, match=r"\[flight_files\] is a parameter or a variable, too; rename one of them$"):
        define(tmp_path, READ.format("flight_files"))


def test_a_variable_that_no_section_sets_is_answered_with_the_nearest_ones(tmp_path: Path) -> None:
    write(tmp_path, FLIGHTS)
    with pytest.raises(TableError, match=r"getvariable\('flight_file'\) is NULL, .* one of flight_files, source$"):
        define(tmp_path, READ.format("flight_file"))


# --- what a table reads ---------------------------------------------------------------------------------------------

TWO = FLIGHTS + '[weather_files]\nfiles = "weather/{month}.csv"\n'
TWO_VIEWS = """
    create view raw_flights as from read_csv(getvariable('flight_files'));
    create view flights_by_day as from raw_flights;
    create view raw_weather as from read_csv(getvariable('Weather_Files'));
    create view old as from read_csv(getvariable('source') || '/old.csv');
    create macro old_rows(n) as table from read_csv(getvariable('source') || '/' || n);
    create macro weather_rows() as table from read_csv(getvariable( /* of months */ 'weather_files'));
"""


@pytest.mark.parametrize(
    ("query", "names", "has_others"),
    [
        pytest.param("select 1", [], False, id="nothing"),
        pytest.param("from raw_flights", ["flight_files"], False, id="through a view"),
        pytest.param("from flights_by_day", ["flight_files"], False, id="through two views"),
        pytest.param("from raw_weather, flights_by_day", ["flight_files", "weather_files"], False, id="two"),
        pytest.param("from weather_rows()", ["weather_files"], False, id="through a macro"),
        pytest.param(READ.format("flight_files"), ["flight_files"], False, id="itself"),
        pytest.param("from old", [], True, id="the folder"),
        pytest.param("from old_rows('x')", [], True, id="the folder through a macro"),
        pytest.param("from old, raw_weather", ["weather_files"], True, id="both"),
        pytest.param("select 'getvariable(''source'')'", [], False, id="a text that looks like it"),
    ],
)
def test_a_table_reads_the_sources_whose_variables_its_query_reads(
    tmp_path: Path, query: str, names: list[str], *, has_others: bool
) -> None:
    table = define(write(tmp_path, TWO, views=TWO_VIEWS), query)
    assert list(table.file_sources) == names
    assert table.has_other_sources is has_others
    assert table.file_windows == dict.fromkeys(names, 1)
    for name in names:
        assert table.file_sources[name] == FileSources.load(tmp_path).of_variable(name)


def test_what_only_a_check_reads_is_read_too_but_makes_no_rows(tmp_path: Path) -> None:
    write(tmp_path, TWO, views=TWO_VIEWS)
    table = define(tmp_path, "from raw_flights", checks="create view c as from raw_weather, old")
    assert list(table.file_sources) == ["flight_files", "weather_files"]
    assert not table.has_other_sources


def test_reads_widens_the_days_of_a_source(tmp_path: Path) -> None:
    write(tmp_path, TWO, views=TWO_VIEWS)
    table = define(tmp_path, "from raw_weather, raw_flights", 'reads = {flight_files = "2 days"}')
    assert table.file_windows == {"flight_files": 2, "weather_files": 1}
    assert table.inputs == {}


def test_reads_of_what_is_not_read_is_refused_with_what_is(tmp_path: Path) -> None:
    write(tmp_path, TWO, views=TWO_VIEWS)
    with pytest.raises(TableError) as refused:
        define(tmp_path, "from raw_flights", 'reads = {weather_files = "2 days"}')
    rule = "reads names 'weather_files' but the query reads flight_files of the tables and file sources; mend either"
    assert str(refused.value) == f"{tmp_path / 'sales/table.toml'}: {rule}"


# --- arrivals -------------------------------------------------------------------------------------------------------


def test_on_arrival_without_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path, TWO, views=TWO_VIEWS)
    with pytest.raises(TableError) as refused:
        define(tmp_path, "from old", "on_arrival = true")
    rule = "on_arrival is true but the query reads no files of sources.toml; name its files there, or remove the"
    assert str(refused.value) == f"{tmp_path / 'sales/table.toml'}: {rule} setting"
    assert define(tmp_path, "from raw_flights", "on_arrival = true").settings.on_arrival


@pytest.mark.parametrize(
    "line",
    [
        *('due = "06:00"', 'due = "30:00"', 'give_up_after = "12 hours"', 'give_up_after = "1 day"'),
        *("arrival_days = 0", "arrival_days = 4000"),
    ],
)
def test_a_good_setting_of_arrivals_is_kept(tmp_path: Path, line: str) -> None:
    name, _, value = line.partition(" = ")
    settings = define(write(tmp_path, TWO, views=TWO_VIEWS), "from raw_flights", line).settings
    assert str(getattr(settings, name)) == value.strip('"')


def test_a_table_that_says_nothing_of_arrivals_has_a_month_and_waits_a_week(tmp_path: Path) -> None:
    settings = define(write(tmp_path, TWO, views=TWO_VIEWS), "from raw_flights").settings
    assert (settings.on_arrival, settings.arrival_days, settings.due, settings.give_up_after) == (
        *(False, 31, None),
        "7 days",
    )


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('due = "6:00"', "due = '6:00' is not valid: '6:00' is not a time like '06:00'; '30:00' is 6 o'clock one day"),
        ("due = 06:00:00", "due = .* is not valid: it has to be a text"),
        ('give_up_after = "a week"', "give_up_after = 'a week' is not valid: 'a week' is not a span like '7 days'"),
        ("give_up_after = 7", "give_up_after = 7 is not valid: it has to be a text"),
        ("arrival_days = -1", "arrival_days = -1 is not valid: it has to be greater than or equal to 0"),
        ("arrival_days = 40001", "arrival_days = 40001 is not valid: it has to be less than or equal to 40000"),
        ('arrival_days = "7 days"', "arrival_days = '7 days' is not valid: it has to be a whole number"),
        ("on_arrival = 1", "on_arrival = 1 is not valid: it is none of true, false"),
    ],
    ids=lambda value: value.partition(" is not valid")[0],
)
def test_a_bad_setting_of_arrivals_is_refused_with_value_and_rule(tmp_path: Path, line: str, fault: str) -> None:
    write(tmp_path, TWO, views=TWO_VIEWS)
    with pytest.raises(TableError, match=f"table.toml: {fault}"):
        define(tmp_path, "from raw_flights", line)
