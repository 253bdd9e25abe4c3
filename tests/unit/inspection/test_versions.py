"""Versions: what each partition was, who had asked for it, and until when it stood."""

from __future__ import annotations

from datetime import UTC, date, datetime

import duckdb

from reloads.inspection.versions import Version, disk_use, versions
from reloads.warehouse.history import History
from tests.support.chain import Chain
from tests.support.undo_history import DAYS, SHOPS, deliver, loaded, published, reload, the_table, undone

__all__ = ["loaded"]
FIRST, SECOND = date(2025, 1, 1), date(2025, 1, 2)


def listed(chain: Chain, name: str = "a", day: date | None = None) -> list[Version]:
    return versions(chain.settings, the_table(chain, name), day=day)


def replaced(chain: Chain, name: str = "a") -> list[datetime]:
    """When an act of the table's history replaced something, oldest first."""
    stamps = History(chain.settings.warehouse, name).acts()
    return [datetime.fromtimestamp(stamp / 10**9, UTC) for stamp in stamps]


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


def test_a_file_that_cannot_be_read_is_listed_without_rows(loaded: Chain) -> None:
    (loaded.settings.warehouse / "a" / "day=2025-01-02" / "data.parquet").write_text("no parquet")
    assert listed(loaded, day=SECOND)[-1] == Version("day=2025-01-02", None, (), None)
    assert listed(loaded, day=FIRST)[-1].rows == 1


def test_where_nothing_can_be_read_everything_is_listed_without_rows(chain: Chain) -> None:
    reload(chain, "a", "2025-01-01")
    (chain.settings.warehouse / "a" / "day=2025-01-01" / "data.parquet").write_text("no parquet")
    assert [(version.rows, version.requests) for version in listed(chain)] == [(None, ()), (None, ())]


def test_a_file_that_we_did_not_write_has_rows_and_no_requests(chain: Chain) -> None:
    reload(chain, "a", "2025-01-01")
    file = chain.settings.warehouse / "a" / "day=2025-01-01" / "data.parquet"
    with duckdb.connect(":memory:") as db:
        db.execute("copy (select 1 as amount from range(5)) to $1 (format parquet)", [str(file)])
    assert listed(chain)[-1] == Version("day=2025-01-01", 5, (), None)


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


def test_disk_use_counts_a_file_once_whether_published_or_kept(loaded: Chain) -> None:
    records = sum(path.stat().st_size for path in (loaded.settings.warehouse / ".history" / "a").iterdir())
    sizes = {name: len(file[2]) for name, file in published(loaded).items()}
    assert disk_use(loaded.settings, the_table(loaded, "a")).published == sum(sizes.values())
    assert disk_use(loaded.settings, the_table(loaded, "a")).history == records
    deliver(loaded, "2025-01-02", 50, 60)
    request = reload(loaded, "a", "2025-01-02")
    used = disk_use(loaded.settings, the_table(loaded, "a"))
    assert used.history >= records + sizes["day=2025-01-02"]
    assert used.published == sum(len(file[2]) for file in published(loaded).values())
    result = len(published(loaded)["day=2025-01-02"][2])
    undone(loaded, request)
    after = disk_use(loaded.settings, the_table(loaded, "a"))
    assert after.published == sum(sizes.values())
    # What is published again costs nothing any more; what the request had made does.
    assert used.history - sizes["day=2025-01-02"] + result < after.history < used.history + result
