"""Versions: what each partition was, who had asked for it, and until when it stood."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from reloads.inspection.versions import Version, disk_use, versions
from reloads.runs.retention import remove_expired
from reloads.tables.catalog import Catalog
from reloads.warehouse.commit_log import CommitLog
from tests.support.chain import NOW, Chain
from tests.support.undo_history import DAYS, SHOPS, deliver, loaded, published, reload, the_table, undone

__all__ = ["loaded"]
FIRST, SECOND = date(2025, 1, 1), date(2025, 1, 2)


def numbered(chain: Chain, name: str = "a", day: date | None = None) -> list[Version]:
    return versions(chain.settings, the_table(chain, name), day=day)


def listed(chain: Chain, name: str = "a", day: date | None = None) -> list[Version]:
    """The versions without their numbers, and without when they came."""
    return [replace(version, number=None, written_at=None) for version in numbered(chain, name, day)]


def replaced(chain: Chain, name: str = "a") -> list[datetime]:
    """When a commit of the table replaced something, oldest first."""
    log = CommitLog(chain.settings.warehouse, name)
    return [commit.published_at for commit in log.after(0) if list(commit.changed_names())]


def test_a_table_that_was_never_loaded_has_no_versions(chain: Chain) -> None:
    assert listed(chain) == []


def test_each_version_has_its_rows_its_requests_and_its_end_the_published_one_last(chain: Chain) -> None:
    first = reload(chain, "a", "2025-01-01")
    deliver(chain, "2025-01-01", 1, 2, 3)
    second = reload(chain, "a", "2025-01-01")
    loaded_at, replaced_at = replaced(chain)
    name = "day=2025-01-01"
    assert listed(chain) == [
        Version(name, None, (), loaded_at),
        Version(name, 1, (first.id,), replaced_at),
        Version(name, 3, (second.id,), None),
    ]
    assert loaded_at < replaced_at


def test_a_version_came_when_the_one_before_it_went(chain: Chain) -> None:
    for amounts in ((1, 2), (3,), (4, 5)):
        deliver(chain, "2025-01-01", *amounts)
        reload(chain, "a", "2025-01-01")
    kept = numbered(chain, day=FIRST)
    assert [version.written_at for version in kept] == [None, *replaced(chain)]
    assert [version.replaced_at for version in kept] == [*replaced(chain), None]
    assert [version.number for version in kept] == [0, 1, 2, 3]


def test_a_version_that_was_put_back_has_the_number_and_time_of_the_undo(loaded: Chain) -> None:
    deliver(loaded, "2025-01-02", 50, 60)
    undone(loaded, reload(loaded, "a", "2025-01-02"))
    last, undo = numbered(loaded, day=SECOND)[-1], list(CommitLog(loaded.settings.warehouse, "a").after(0))[-1]
    assert (last.number, last.written_at) == (undo.number, undo.published_at)


def test_versions_are_ordered_by_partition_and_then_by_time(loaded: Chain) -> None:
    for amount in (50, 60):
        deliver(loaded, "2025-01-03", amount)
        reload(loaded, "a", "2025-01-01", "2025-01-04")
    listed_versions = listed(loaded)
    assert [version.partition for version in listed_versions] == sorted(
        version.partition for version in listed_versions
    )
    ends = [version.replaced_at for version in listed_versions if version.partition == "day=2025-01-03"]
    assert ends == [*replaced(loaded), None]
    assert [version.replaced_at is None for version in listed_versions].count(True) == len(DAYS)


def test_only_the_versions_of_one_day_are_listed_where_a_day_is_named(loaded: Chain) -> None:
    assert {version.partition for version in listed(loaded, day=SECOND)} == {"day=2025-01-02"}
    assert len(listed(loaded, day=SECOND)) == 2
    assert listed(loaded, day=date(2025, 1, 31)) == []


def test_each_key_has_versions_of_its_own_also_one_that_is_gone(loaded: Chain) -> None:
    deliver(loaded, "2025-01-02", 201, 202)
    reload(loaded, "shops", "2025-01-02")
    listed_versions = [
        (version.partition, version.rows, version.replaced_at is None) for version in listed(loaded, "shops", SECOND)
    ]
    assert listed_versions == [
        ("day=2025-01-02/shop=0", None, False),
        ("day=2025-01-02/shop=0", 1, False),
        ("day=2025-01-02/shop=2", None, False),
        ("day=2025-01-02/shop=2", 2, True),
    ]


def test_a_version_without_rows_has_no_rows_and_is_not_absent(loaded: Chain) -> None:
    loaded.define("a", "select day, amount from raw", 'on_empty = "publish"')
    deliver(loaded, "2025-01-01")
    request = reload(loaded, "a", "2025-01-01")
    assert listed(loaded, day=FIRST)[-1] == Version("day=2025-01-01", 0, (request.id,), None)


def test_a_version_serves_all_the_requests_that_were_open_then(chain: Chain) -> None:
    both = [chain.ask("a", "2025-01-01", cascade=False), chain.ask("a", "2025-01-01", "2025-01-02", cascade=False)]
    chain.run("a")
    assert sorted(listed(chain, day=FIRST)[-1].requests) == sorted(record.id for record in both)


def test_what_was_put_back_is_the_version_of_the_request_that_wrote_it(loaded: Chain) -> None:
    before = listed(loaded, day=SECOND)[-1]
    deliver(loaded, "2025-01-02", 50, 60)
    request = reload(loaded, "a", "2025-01-02")
    undone(loaded, request)
    listed_versions = listed(loaded, day=SECOND)
    assert [version.rows for version in listed_versions] == [None, 1, 2, 1]
    assert listed_versions[2].requests == (request.id,)
    assert listed_versions[-1] == before


def test_what_was_put_back_twice_is_still_the_version_of_the_request_that_wrote_it(loaded: Chain) -> None:
    deliver(loaded, "2025-01-02", 50, 60)
    request = reload(loaded, "a", "2025-01-02")
    undone(loaded, undone(loaded, request))
    listed_versions = listed(loaded, day=SECOND)
    assert [version.rows for version in listed_versions] == [None, 1, 2, 1, 2]
    assert listed_versions[2].requests == listed_versions[4].requests == (request.id,)


def test_a_partition_that_was_removed_is_listed_up_to_its_removal_and_between(loaded: Chain) -> None:
    added = reload(loaded, "a", "2025-01-05")
    undo = undone(loaded, added)
    listed_versions = listed(loaded, day=date(2025, 1, 5))
    assert [(version.rows, version.requests) for version in listed_versions] == [(None, ()), (1, (added.id,))]
    undone(loaded, undo)
    listed_versions = listed(loaded, day=date(2025, 1, 5))
    assert [version.rows for version in listed_versions] == [None, 1, None, 1]
    ends = [version.replaced_at for version in listed_versions]
    assert ends == [*replaced(loaded)[-3:], None]


def test_what_expired_is_not_listed_and_what_is_published_keeps_its_requests(loaded: Chain) -> None:
    deliver(loaded, "2025-01-02", 50, 60)
    request = reload(loaded, "a", "2025-01-02")
    catalog = Catalog.load(loaded.settings.tables)
    remove_expired(loaded.settings, catalog, catalog["a"], now=NOW + timedelta(days=100))
    assert replaced(loaded) == []
    assert listed(loaded, day=SECOND) == [Version("day=2025-01-02", 2, (request.id,), None)]
    assert len(listed(loaded)) == len(DAYS)


def put_file(chain: Chain, query: str | None) -> Path:
    """Replace the file of the first day of ``a`` by the result of a query, or by what is not a Parquet file."""
    file = chain.settings.warehouse / "a" / "day=2025-01-01" / "data.parquet"
    beside = chain.settings.home / "mine.parquet"
    beside.write_text("no parquet")
    if query:
        with duckdb.connect(":memory:") as db:
            db.execute(f"copy ({query}) to $1 (format parquet)", [str(beside)])
    return beside.replace(file)


@pytest.mark.parametrize(("query", "rows"), [("select 1 as amount from range(5)", 5), (None, None)])
def test_a_file_that_somebody_put_there_is_published_with_its_rows_if_any_can_be_read_and_without_requests(
    chain: Chain, query: str | None, rows: int | None
) -> None:
    request = reload(chain, "a", "2025-01-01")
    file = put_file(chain, query)
    name, replaced_at = "day=2025-01-01", datetime.fromtimestamp(file.stat().st_mtime, UTC)
    assert listed(chain) == [
        Version(name, None, (), replaced(chain)[0]),
        Version(name, 1, (request.id,), replaced_at),
        Version(name, rows, (), None),
    ]


@pytest.mark.parametrize("lost", [(".state",), (".state", ".log"), (".state", ".log", ".versions")])
def test_what_is_published_is_listed_with_rows_and_requests_whatever_was_lost(
    loaded: Chain, lost: tuple[str, ...]
) -> None:
    before = {version.partition: version for version in listed(loaded) if not version.replaced_at}
    for name in lost:
        shutil.rmtree(loaded.settings.warehouse / name)
    assert {version.partition: version for version in listed(loaded) if not version.replaced_at} == before


def test_keys_with_characters_of_every_kind_are_listed_as_published(chain: Chain) -> None:
    shop = "case day(day) when 1 then 'a/b [x]*?' when 2 then 'ü %41' else 'a''b=c' end"
    chain.define("shops", SHOPS.replace("amount // 100", shop), 'keys = ["shop"]')
    reload(chain, "shops", "2025-01-01", "2025-01-03")
    deliver(chain, "2025-01-01", 5)
    reload(chain, "shops", "2025-01-01", "2025-01-03")
    listed_versions = listed(chain, "shops")
    assert {version.partition for version in listed_versions if version.replaced_at is None} == published(
        chain, "shops"
    ).keys()
    assert {version.partition for version in listed_versions} == published(chain, "shops").keys()
    assert [version.rows for version in listed_versions if version.replaced_at is None] == [1, 1, 1]


@pytest.mark.parametrize(
    ("query", "toml"),
    [
        pytest.param("select day as date, amount from raw", 'day_column = "date"', id="another day column"),
        pytest.param("select day, 'x' as kind, amount from raw", 'day_column = "day"\nkeys = ["kind"]', id="keys"),
    ],
)
def test_a_table_that_is_cut_otherwise_by_now_has_no_versions_until_it_is_loaded_anew(
    loaded: Chain, query: str, toml: str
) -> None:
    assert listed(loaded, day=SECOND)
    folder = loaded.settings.tables / "a"
    (folder / "query.sql").write_text(query)
    (folder / "table.toml").write_text(f"first_day = 2025-01-01\n{toml}\n")
    assert listed(loaded) == listed(loaded, day=SECOND) == []
    (loaded.settings.warehouse / "a").rename(loaded.settings.home / "moved away")
    record = reload(loaded, "a", "2025-01-02")
    absent, version = listed(loaded, day=SECOND)
    assert (absent.rows, absent.requests) == (None, ())
    assert version.requests == (record.id,)


def test_disk_use_counts_a_file_once_whether_published_or_kept(loaded: Chain) -> None:
    def use() -> tuple[int, int]:
        used = disk_use(loaded.settings, the_table(loaded, "a"))
        assert used.published == sum(len(file[2]) for file in published(loaded).values())
        return used.published, used.history

    def size() -> int:
        return len(published(loaded)["day=2025-01-02"][2])

    loaded_size, published_at_first = size(), use()[0]
    assert use() == (published_at_first, 0)
    deliver(loaded, "2025-01-02", 50, 60)
    request = reload(loaded, "a", "2025-01-02")
    corrected_size = size()
    assert use() == (published_at_first - loaded_size + corrected_size, loaded_size)
    undone(loaded, request)
    # What is published again costs nothing any more; what the request had made does.
    assert use() == (published_at_first, corrected_size)
    deliver(loaded, "2025-01-02", 1, 2, 3)
    reload(loaded, "a", "2025-01-02")
    # Two versions of it are kept, and they are one file.
    assert use()[1] == loaded_size + corrected_size
