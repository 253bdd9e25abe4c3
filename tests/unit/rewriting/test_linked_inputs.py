"""Linked inputs: a batch reads versions as of one commit, and files that somebody put there become versions first."""

from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from reloads.days import Days
from reloads.errors import InputError
from reloads.rewriting.context import Locations, Provenance
from reloads.rewriting.linked_inputs import LinkedInput, link_inputs
from reloads.rewriting.strangers import KEY_TYPES, read_with_strangers
from reloads.tables.catalog import Catalog
from reloads.tables.definition import Table, load_table
from reloads.warehouse.access import state_of
from reloads.warehouse.current_view import version_path
from reloads.warehouse.partition_name import PartitionName
from reloads.warehouse.partitions import TableFolder, folder_of
from tests.support.chain import Chain

FIRST = date(2025, 1, 1)
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)


def put(file: Path, *values: int, key_types: str = "{}") -> bytes:
    """Write a Parquet file as another program does; returns its bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = ", ".join(f"({value})" for value in values)
    beside = file.with_name(".beside")
    with duckdb.connect(":memory:") as db:
        notes = f"kv_metadata {{'{KEY_TYPES}': '{key_types}'}}"
        db.execute(f"copy (from (values {rows}) as t(v)) to '{beside}' (format parquet, {notes})")
    beside.replace(file)
    return file.read_bytes()


def values_of(linked: LinkedInput) -> list[int]:
    with duckdb.connect(":memory:") as db:
        query = "select v from read_parquet($1, hive_partitioning = false) order by v"
        return [value for (value,) in db.execute(query, [list(map(str, linked.files))]).fetchall()]


def link(chain: Chain, folder: Path, reader: Table) -> LinkedInput:
    catalog = Catalog.load(chain.settings.tables)
    place = Locations(chain.settings.warehouse, chain.settings.source, catalog.all_inputs(reader))
    days = Days.parse(["2025-01-01..2025-01-02"])
    with duckdb.connect(":memory:") as db:
        linked = link_inputs(db, reader, days, place=place, folder=folder, provenance=Provenance("run/1", NOW))
    return linked["a"]


@pytest.fixture
def reader(chain: Chain) -> Table:
    """A table that reads the same day of the table ``a``."""
    return load_table(chain.settings.tables, "b")


@pytest.fixture
def source(chain: Chain) -> TableFolder:
    return folder_of(chain.settings.warehouse, load_table(chain.settings.tables, "a"))


def test_a_file_that_somebody_put_there_is_read_as_a_version(
    chain: Chain, reader: Table, source: TableFolder, tmp_path: Path
) -> None:
    content = put(source.partition(FIRST), 1, 2)
    linked = link(chain, tmp_path / "inputs", reader)
    assert values_of(linked) == [1, 2]
    entry = state_of(source).read([FIRST]).entries[source.day_name(FIRST)]
    assert (entry.rows, entry.making) == (2, None)
    assert Path(version_path(source, source.day_name(FIRST), entry.version)).read_bytes() == content
    assert linked.point == state_of(source).read_head().point
    assert dict(linked.head.columns) == {"v": "INTEGER"}


def test_what_is_replaced_meanwhile_is_read_as_it_was(
    chain: Chain, reader: Table, source: TableFolder, tmp_path: Path
) -> None:
    put(source.partition(FIRST), 1)
    linked = link(chain, tmp_path / "first", reader)
    put(source.partition(FIRST), 7)
    later = link(chain, tmp_path / "second", reader)
    assert (values_of(linked), values_of(later)) == ([1], [7])
    assert later.point.includes(linked.point)
    assert not linked.point.includes(later.point)


def test_looking_again_takes_nothing_up_a_second_time(
    chain: Chain, reader: Table, source: TableFolder, tmp_path: Path
) -> None:
    put(source.partition(FIRST), 1)
    points = {link(chain, tmp_path / str(number), reader).point for number in range(3)}
    assert [point.number for point in points] == [1]


def test_a_lost_version_names_the_partition_and_the_cure(
    chain: Chain, reader: Table, source: TableFolder, tmp_path: Path
) -> None:
    put(source.partition(FIRST), 1)
    link(chain, tmp_path / "first", reader)
    shutil.rmtree(source.folder)
    shutil.rmtree(source.warehouse / ".versions")
    with pytest.raises(InputError, match="day=2025-01-01; reload that partition"):
        link(chain, tmp_path / "second", reader)


def test_a_lost_log_finds_the_types_of_keys_in_the_footers(tmp_path: Path) -> None:
    folder = TableFolder(tmp_path / "warehouse", "sales", "day", ("k",))
    name = PartitionName.of("day", FIRST, {"k": "9"})
    put(folder.file(name), 1, key_types='{"k": "INTEGER"}')
    with duckdb.connect(":memory:") as db:
        snapshot = read_with_strangers(db, folder, [FIRST], run="run/1", now=NOW)
    assert dict(snapshot.head.key_types) == {"k": "INTEGER"}


def test_a_damaged_file_is_kept_as_a_version_too(tmp_path: Path) -> None:
    folder = TableFolder(tmp_path / "warehouse", "sales", "day")
    folder.partition(FIRST).parent.mkdir(parents=True)
    folder.partition(FIRST).write_bytes(b"PAR1 and no more")
    with duckdb.connect(":memory:") as db:
        snapshot = read_with_strangers(db, folder, [FIRST], run="run/1", now=NOW)
    entry = snapshot.entries[folder.day_name(FIRST)]
    assert Path(version_path(folder, folder.day_name(FIRST), entry.version)).read_bytes() == b"PAR1 and no more"
