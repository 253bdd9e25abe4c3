"""Names of partitions: a value and its text are the same thing, whatever the values of the keys hold."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reloads.warehouse.partition_name import PartitionName

DAY = date(2025, 1, 6)
COLUMNS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
VALUES = st.dictionaries(COLUMNS, st.text(st.characters(codec="utf-8")), max_size=3)
NAMES = st.builds(PartitionName.of, COLUMNS, st.dates(), VALUES)
ODD_VALUES = ["a/b", "a#0/2", "k=v", "%2F", "100 %", "", ".", "..", "ü ☃", "a\nb", "__HIVE_DEFAULT_PARTITION__"]


@given(name=NAMES)
def test_a_name_is_parsed_from_its_text(name: PartitionName) -> None:
    assert PartitionName.parse(str(name)) == name
    assert PartitionName.from_file_name(name.to_file_name()) == name
    assert "/" not in name.to_file_name()


@example(values={"k1": "a/b", "k2": "#=%"})
@given(values=VALUES)
def test_the_values_of_keys_come_back_as_they_were(values: dict[str, str]) -> None:
    name = PartitionName.of("day", DAY, values)
    assert PartitionName.parse(str(name)).key_values == values
    assert name.day_name == PartitionName("day", DAY)


@pytest.mark.parametrize("text", ["day=2025-01-06/shop=A B", "day=2025-01-06/shop=a#b", "day=2025-01-06/shop=a=b"])
def test_a_folder_that_another_program_named_keeps_its_text(text: str) -> None:
    name = PartitionName.parse(text)
    assert (str(name), name.day, name.is_of_day) == (text, DAY, False)


@pytest.mark.parametrize("value", [value for value in ODD_VALUES if value not in ("", "__HIVE_DEFAULT_PARTITION__")])
def test_a_value_is_encoded_as_duckdb_encodes_it(tmp_path: Path, value: str) -> None:
    with duckdb.connect() as db:
        query = "select date '2025-01-06' as day, $1 as shop, 1 as amount"
        db.execute(f"copy ({query}) to '{tmp_path / 'sales'}' (format parquet, partition_by (day, shop))", [value])
    [folder] = (path.parent for path in (tmp_path / "sales").glob("*/*/*.parquet"))
    assert str(folder.relative_to(tmp_path / "sales")) == str(PartitionName.of("day", DAY, {"shop": value}))


@pytest.mark.parametrize(
    "text",
    ["", "day", "day=", "day=today", "day=20250106", "day=2025-W02-1", "day=2025-01-06/", "day=2025-01-06/shop"],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        PartitionName.parse(text)
