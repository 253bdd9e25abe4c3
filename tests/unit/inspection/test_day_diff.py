"""The difference of two versions of a day: its counts are those of the rows, its columns and examples name them."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reloads.errors import RequestError
from reloads.inspection.day_diff import DayDiff, diff_day
from reloads.inspection.versions import versions
from reloads.runs.retention import remove_expired
from reloads.tables.catalog import Catalog
from tests.support.chain import NOW, Chain
from tests.support.undo_history import reload, the_table, undone

FIRST = date(2025, 1, 1)
QUERY = "select day, shop, amount from read_csv(getvariable('source') || '/*.csv', columns = {columns})"
COLUMNS = "{'day': 'date', 'shop': 'int', 'amount': 'int'}"


@pytest.fixture
def shops(chain: Chain) -> Chain:
    for file in chain.settings.source.glob("*.csv"):
        file.unlink()
    chain.define("t", QUERY.format(columns=COLUMNS), 'on_empty = "publish"')
    return chain


def load(chain: Chain, *rows: tuple[int, int], toml: str = "") -> Any:
    """Replace the rows of the first day, each a shop and an amount."""
    lines = "".join(f"{FIRST},{shop},{amount}\n" for shop, amount in rows)
    (chain.settings.source / "day.csv").write_text("day,shop,amount\n" + lines)
    if toml:
        chain.define("t", QUERY.format(columns=COLUMNS), f'on_empty = "publish"\n{toml}')
    return reload(chain, "t", str(FIRST))


def diff(chain: Chain, *numbers: int, **options: Any) -> DayDiff:
    return diff_day(chain.settings, the_table(chain, "t"), FIRST, numbers, **options)


def counts(difference: DayDiff) -> tuple[int, int, int]:
    return difference.added, difference.removed, difference.changed


def test_without_numbers_it_is_what_the_last_change_did(shops: Chain) -> None:
    load(shops, (1, 10))
    load(shops, (1, 10), (2, 20))
    load(shops, (2, 20), (3, 30))
    load(shops, (2, 20), (3, 30))  # comes out the same, so it changes nothing
    difference = diff(shops)
    assert counts(difference) == (1, 1, 0)
    assert (difference.rows_before, difference.rows_after) == (2, 2)
    assert [row["shop"] for row in difference.added_rows] == ["3"]
    assert [row["shop"] for row in difference.removed_rows] == ["1"]


def test_a_number_names_the_day_after_that_commit_and_zero_before_all_of_them(shops: Chain) -> None:
    for last in (1, 2, 3):
        load(shops, *((shop, 10) for shop in range(1, last + 1)))
    assert [counts(diff(shops, number))[0] for number in range(4)] == [3, 2, 1, 0]
    assert counts(diff(shops, 1, 2)) == (1, 0, 0)
    assert counts(diff(shops, 3, 1)) == (0, 2, 0)
    assert diff(shops, 2, 2).is_empty


def test_the_numbers_are_those_that_the_history_lists(shops: Chain) -> None:
    load(shops, (1, 10))
    load(shops, (1, 10), (2, 20))
    undone(shops, load(shops, (3, 30)))
    listed = versions(shops.settings, the_table(shops, "t"), day=FIRST)
    for version in listed:
        assert version.number is not None
        difference = diff(shops, version.number, listed[-1].number or 0)
        assert difference.rows_before == (version.rows or 0)
        assert difference.rows_after == listed[-1].rows


def test_rows_are_told_apart_by_the_columns_named(shops: Chain) -> None:
    load(shops, (1, 10), (2, 20), (3, 30))
    load(shops, (1, 10), (2, 21), (4, 40))
    difference = diff(shops, by=["shop"])
    assert counts(difference) == (1, 1, 1)
    assert difference.changes_by_column == {"amount": 1}
    [changed] = difference.changed_rows
    assert (changed.row, changed.before, changed.after) == ({"shop": "2"}, {"amount": "20"}, {"amount": "21"})


def test_rows_are_told_apart_by_the_order_of_the_table_where_that_is_unique(shops: Chain) -> None:
    load(shops, (1, 10), toml='order_by = ["shop"]')
    load(shops, (1, 11))
    assert (diff(shops).by, counts(diff(shops))) == (("shop",), (0, 0, 1))
    load(shops, (1, 11), (1, 12))
    assert (diff(shops).by, counts(diff(shops))) == ((), (1, 0, 0))


@given(
    before=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=6),
    after=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), max_size=6),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_counts_are_those_of_the_rows_as_often_as_each_is_there(
    shops: Chain, before: list[tuple[int, int]], after: list[tuple[int, int]]
) -> None:
    load(shops, *before)
    first = the_last_number(shops)
    load(shops, *after)
    added, removed = Counter(after) - Counter(before), Counter(before) - Counter(after)
    assert counts(diff(shops, first)) == (added.total(), removed.total(), 0)


def the_last_number(chain: Chain) -> int:
    return max(version.number or 0 for version in versions(chain.settings, the_table(chain, "t"), day=FIRST))


def test_columns_that_came_went_or_have_another_type_are_named(shops: Chain) -> None:
    load(shops, (1, 10), (2, 20))
    shops.define(
        "t",
        QUERY.format(columns=COLUMNS).replace("shop, amount", "shop::bigint as shop, 'x' as name"),
        'on_schema_change = "replace"',
    )
    reload(shops, "t", str(FIRST))
    difference = diff(shops)
    assert difference.added_columns == {"name": "VARCHAR"}
    assert difference.removed_columns == {"amount": "INTEGER"}
    assert difference.retyped_columns == {"shop": ("INTEGER", "BIGINT")}
    # The values are the same, as far as both have them.
    assert counts(difference) == (0, 0, 0)
    assert not difference.is_empty


def test_all_keys_of_a_day_are_compared_those_that_went_and_came_too(shops: Chain) -> None:
    load(shops, (1, 10), (2, 20), toml='keys = ["shop"]')
    load(shops, (2, 21), (3, 30))
    difference = diff(shops, by=["shop"])
    assert counts(difference) == (1, 1, 1)
    assert [row["shop"] for row in difference.added_rows] == ["3"]


def test_a_day_without_rows_is_compared_as_well(shops: Chain) -> None:
    load(shops, (1, 10))
    load(shops)
    assert counts(diff(shops)) == (0, 1, 0)
    load(shops, (1, 10), (2, 20))
    assert counts(diff(shops)) == (2, 0, 0)


def test_only_so_many_rows_are_shown_and_all_are_counted(shops: Chain) -> None:
    load(shops)
    load(shops, *((shop, 1) for shop in range(20)))
    difference = diff(shops, examples=3)
    assert (difference.added, [row["shop"] for row in difference.added_rows]) == (20, ["0", "1", "2"])


def test_a_file_that_somebody_put_there_is_the_published_version(shops: Chain) -> None:
    load(shops, (1, 10))
    load(shops, (1, 10), (2, 20))
    folder = shops.settings.warehouse / "t" / f"day={FIRST}"
    older = next((shops.settings.warehouse / ".versions" / "t" / f"day={FIRST}").glob("1.parquet"))
    (folder / "mine").write_bytes(older.read_bytes())
    (folder / "mine").replace(folder / "data.parquet")
    assert counts(diff(shops)) == (0, 1, 0)
    assert diff(shops, 1).is_empty


@pytest.mark.parametrize(
    ("numbers", "options", "sentence"),
    [
        ((9,), {}, "9 is not a version of t, whose last one is 2"),
        ((-1,), {}, "-1 does not name two versions; reloads history lists them"),
        ((0, 1, 2), {}, "0 1 2 does not name two versions; reloads history lists them"),
        ((), {"by": ["shoop"]}, "'shoop' is not a column of both versions; they share shop, amount, day, name some"),
        ((), {"by": ["amount"]}, "amount does not tell the rows of 2025-01-01 apart; name more columns, or none"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(
    shops: Chain, numbers: tuple[int, ...], options: dict[str, Any], sentence: str
) -> None:
    load(shops, (1, 10))
    load(shops, (1, 10), (2, 10))
    with pytest.raises(RequestError) as raised:
        diff(shops, *numbers, **options)
    assert str(raised.value).startswith(sentence)


def test_a_day_that_was_never_published_has_no_versions(shops: Chain) -> None:
    with pytest.raises(RequestError, match=r"nothing of t was ever published on 2025-01-01; ask for another day"):
        diff(shops)


def test_what_expired_is_said_to_be_gone(shops: Chain) -> None:
    load(shops, (1, 10))
    load(shops, (2, 20))
    catalog = Catalog.load(shops.settings.tables)
    remove_expired(shops.settings, catalog, catalog["t"], now=NOW + timedelta(days=100))
    with pytest.raises(RequestError, match=r"version 1 of 2025-01-01 of t is not kept any more; reloads history lists"):
        diff(shops, 1)


def test_a_damaged_version_is_said_in_one_sentence(shops: Chain) -> None:
    load(shops, (1, 10))
    load(shops, (2, 20))
    (shops.settings.warehouse / ".versions" / "t" / f"day={FIRST}" / "1.parquet").write_text("no parquet")
    with pytest.raises(RequestError) as raised:
        diff(shops)
    assert str(raised.value).startswith("the versions of 2025-01-01 of t cannot be compared (")
    assert "\n" not in str(raised.value)
