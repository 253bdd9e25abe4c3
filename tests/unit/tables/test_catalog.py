"""The catalog: good tables stay good beside broken ones, and an unknown name is answered with the names there are."""

from pathlib import Path

import pytest

from reloads.errors import RequestError, TableError
from reloads.tables.catalog import Catalog
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
