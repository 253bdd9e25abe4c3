"""The catalog: good tables stay good beside broken ones, and an unknown name is answered with the names there are."""

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reloads.errors import RequestError, TableError
from reloads.tables import definition
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table
from tests.support.touches import count_names


def test_one_broken_table_does_not_hide_the_others(sales_tables: Path) -> None:
    (sales_tables / "visits" / "query.sql").unlink()
    (sales_tables / "Bad Name").mkdir()
    catalog = Catalog.load(sales_tables)
    assert sorted(catalog.tables) == ["sales"]
    assert sorted(catalog.broken) == ["Bad Name", "visits"]
    assert catalog["sales"].settings.daily


def test_a_broken_table_cannot_be_asked_for_and_says_why(sales_tables: Path) -> None:
    (sales_tables / "visits" / "query.sql").write_text("selec")
    with pytest.raises(TableError, match=r"table 'visits' is broken \(.*query.sql does not parse.*mend its folder"):
        Catalog.load(sales_tables)["visits"]


@pytest.mark.parametrize(
    ("name", "nearest"), [("sale", "sales, visits"), ("visit", "visits, sales"), ("../sales", "sales, visits")]
)
def test_an_unknown_table_is_answered_with_the_known_ones_nearest_first(
    sales_tables: Path, name: str, nearest: str
) -> None:
    with pytest.raises(RequestError, match=f"table '{name}' is unknown; known tables are {nearest}$"):
        Catalog.load(sales_tables)[name]


def test_an_unknown_name_of_any_length_gets_a_short_sentence_on_one_line(sales_tables: Path) -> None:
    with pytest.raises(RequestError) as caught:
        Catalog.load(sales_tables)["sales\n" * 100_000]
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)


def test_many_tables_are_cut_to_the_ten_nearest(tmp_path: Path) -> None:
    for number in range(30):
        folder = tmp_path / f"table_{number}"
        folder.mkdir()
        (folder / "query.sql").write_text("select 1")
        (folder / "table.toml").write_text('day_column = "day"\nfirst_day = 2024-01-01\n')
    with pytest.raises(RequestError, match=r"known tables are table_7, (\w+, ){9}…$"):
        Catalog.load(tmp_path)["table__7"]


def test_no_table_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="known tables are none yet"):
        Catalog.load(tmp_path)["sales"]


def test_the_names_of_all_tables_are_listed_once_however_many_there_are(sales_tables: Path) -> None:
    with count_names(sales_tables.parent) as names:
        catalog = Catalog.load(sales_tables)
    assert len(catalog.tables) > 1
    assert names[sales_tables.name] == len(list(sales_tables.iterdir()))


def test_a_sources_file_that_cannot_be_read_is_told_for_every_table(sales_tables: Path) -> None:
    (sales_tables / "sources.sql").write_bytes(b"\xff")
    catalog = Catalog.load(sales_tables)
    assert sorted(catalog.broken) == ["sales", "visits"]
    assert all("sources.sql cannot be read" in str(error) for error in catalog.broken.values())


TOML = 'day_column = "day"\nfirst_day = 2024-01-01\n'
EDITS = (
    ("a/query.sql", "select day, 1 as n from raw"),
    ("a/query.sql", "select day, 2 as n from raw"),
    ("a/query.sql", "select day, 2 as n from b"),
    ("a/query.sql", "selec"),
    ("a/query.sql", None),
    ("a/table.toml", TOML),
    ("a/table.toml", f"{TOML}daily = true\n"),
    ("a/table.toml", f"{TOML}daily = tru\n"),
    ("a/table.toml", f'{TOML}on_arrival = true\n[reads]\nraw_files = "2 days"\n'),
    ("a/checks.sql", "create view c as select day from new"),
    ("a/checks.sql", None),
    ("a/check.sql", "select 1"),
    ("a/check.sql", None),
    ("b/query.sql", "select day from raw"),
    ("b/query.sql", "select day from a"),
    ("b/table.toml", TOML),
    ("b/table.toml", None),
    ("raw/query.sql", "select 1 as day"),
    ("raw/query.sql", None),
    ("sources.sql", "create view raw as select date '2024-01-01' as day"),
    ("sources.sql", "create view raw as from read_csv(getvariable('raw_files'))"),
    ("sources.sql", None),
    ("sources.toml", '[raw_files]\nfiles = "raw/{day}.csv"\n'),
    ("sources.toml", '[raw_files]\nfiles = "other/{day}.csv"\n'),
    ("sources.toml", "[raw_files]\nfiles = 1\n"),
    ("sources.toml", None),
)
"""A file below the folder of tables, and what it holds from now on; None where it goes, with the last its folder."""


def apply(folder: Path, name: str, text: str | None) -> None:
    path = folder / name
    if text is not None:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return
    path.unlink(missing_ok=True)
    if path.parent != folder and path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def described(catalog: Catalog) -> tuple[dict[str, Table], dict[str, str]]:
    return catalog.tables, {name: str(error) for name, error in catalog.broken.items()}


@given(edits=st.lists(st.sampled_from(EDITS), min_size=1, max_size=30))
def test_what_is_kept_of_an_earlier_look_is_what_a_first_look_finds(edits: list[tuple[str, str | None]]) -> None:
    with TemporaryDirectory() as name, patch.object(definition, "_parsed", {}):
        folder = Path(name)
        for edit in edits:
            apply(folder, *edit)
            with patch.object(definition, "_parsed", {}):
                first_look = described(Catalog.load(folder))
            assert described(Catalog.load(folder)) == first_look


def test_only_what_changed_is_parsed_again(sales_tables: Path) -> None:
    before = Catalog.load(sales_tables).tables
    (sales_tables / "visits" / "query.sql").write_text("select date '2024-01-01' as day, 7 as n")
    after = Catalog.load(sales_tables).tables
    assert after["sales"] is before["sales"]
    assert after["visits"] is not before["visits"]
