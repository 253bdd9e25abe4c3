"""Runs of tables in an object store: what they ask of it, and what they do while it fails."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from deltalake import DeltaTable

from reloads.inspection.overview import Overview
from reloads.inspection.sql_query import query_views
from reloads.inspection.sql_views import open_views
from reloads.inspection.verify import verify
from reloads.runs.drop_table import drop_table, restore_table
from reloads.runs.rename_table import rename_table
from reloads.runs.settle_step import settle_batches
from reloads.runs.undo import undo_request
from reloads.settings import Settings
from reloads.warehouse.mirror import mirror_of
from reloads.warehouse.partitions import TableFolder
from reloads.warehouse.upgrade import open_catalog
from tests.support.chain import NOW, Chain
from tests.support.clone import CLONE
from tests.support.s3_proxy import S3Proxy
from tests.support.s3_server import BUCKET, S3Server, use_profile
from tests.support.warehouses import keys

FIRST, LAST = "2025-01-01", "2025-01-04"
PAGE = (CLONE / "docs" / "object-store.md").read_text(encoding="utf-8")


@pytest.fixture
def stored(proxy: S3Proxy, tmp_path: Path) -> Chain:
    assert proxy.endpoint
    return Chain.at(tmp_path / "home", warehouse=f"s3://{BUCKET}/{uuid4().hex}")


def load(chain: Chain, *tables: str) -> None:
    for table in tables:
        chain.ask(table, FIRST, LAST, cascade=False)
    chain.work_off(*tables)


def amounts(chain: Chain, table: str = "a", column: str = "amount") -> dict[date, int]:
    query = f"select day, {column} from tables.{table} order by day"
    with open_views(chain.settings, query=query) as db:
        return dict(query_views(db, query).fetchall())


def test_a_table_is_loaded_followed_undone_and_read_as_in_a_folder(stored: Chain) -> None:
    load(stored, *"abcd")
    stored.deliver("2025-01-02", 100)
    request = stored.ask("a", FIRST, LAST)
    stored.work_off("a")
    assert amounts(stored)[date(2025, 1, 2)] == 100
    assert amounts(stored, "b", "twice")[date(2025, 1, 2)] == 200
    assert amounts(stored, "d", "week")[date(2025, 1, 4)] == 1 + 100 + 3 + 4
    undo_request(stored.settings, request.id, force=False, now=NOW + timedelta(seconds=1), by="ann")
    stored.work_off("a", "b")
    assert amounts(stored)[date(2025, 1, 2)] == 2
    assert amounts(stored, "d", "twice")[date(2025, 1, 2)] == 4
    assert list(verify(stored.settings)) == []


def test_another_machine_that_has_nothing_reads_the_same(stored: Chain, tmp_path: Path) -> None:
    load(stored, "a")
    url = stored.settings.warehouse.name
    other = stored.settings.model_copy(update={"warehouse": tmp_path / "other" / url, "mirrors": tmp_path / "other"})
    assert amounts(Chain(other, stored.queue)) == amounts(stored) == {date(2025, 1, day): day for day in range(1, 5)}


def test_a_snapshot_is_a_delta_table_over_the_versions(s3: S3Server, tmp_path: Path) -> None:
    # Not through a proxy in this process, which Delta Lake keeps from running while it waits.
    assert s3.endpoint
    stored = Chain.at(tmp_path / "home", warehouse=f"s3://{BUCKET}/{uuid4().hex}")
    settings = 'snapshots = "delta"\non_schema_change = "append"'
    stored.define("a", "select day, amount from raw", settings)
    for number in range(2):
        stored.deliver("2025-01-02", 100 + number)
        stored.ask("a", FIRST, LAST, cascade=False)
        run_whole(stored, f"run {number}")
    stored.define("a", "select day, amount, amount + 1 as more from raw", settings)
    stored.ask("a", FIRST, cascade=False)
    run_whole(stored, "run 3")
    place = TableFolder(stored.settings.warehouse, "a", "day")
    root = f"s3://{BUCKET}/{prefix_of(stored.settings)}/.versions/a"
    delta = DeltaTable(root, storage_options={"aws_allow_http": "true"})
    names = {uri.rpartition("/")[2] for uri in delta.file_uris()}
    assert {file.name for file in place.published().values()} == names
    assert [field.name for field in delta.schema().fields] == ["day", "amount", "more"]
    assert list(verify(stored.settings)) == []


def test_a_snapshot_is_written_with_the_credentials_of_a_profile(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert s3.endpoint
    use_profile(tmp_path, monkeypatch)
    stored = Chain.at(tmp_path / "home", warehouse=f"s3://{BUCKET}/{uuid4().hex}")
    stored.define("a", "select day, amount from raw", 'snapshots = "delta"')
    stored.ask("a", FIRST, LAST, cascade=False)
    run_whole(stored, "run")
    mirror = mirror_of(stored.settings.warehouse)
    assert mirror
    assert len(list(mirror.store.look(".versions/a/_delta_log"))) == 1


def run_whole(chain: Chain, run: str) -> None:
    """A run whose steps all know it by that name, so that it has ended once it is settled."""
    batches = chain.plan("a")
    outcomes = chain.rewrite("a", batches, run=run)
    settle_batches(chain.settings, open_catalog(chain.settings), "a", batches, outcomes, run=run, now=NOW)


def prefix_of(settings: Settings) -> str:
    return settings.warehouse.name.rpartition("%2F")[2]


def test_what_a_day_costs_is_what_the_page_says(stored: Chain, proxy: S3Proxy) -> None:
    load(stored, "a")
    told: list[str] = []
    for last in (FIRST, LAST):
        for day in range(1, 5):
            stored.deliver(f"2025-01-0{day}", len(told) * 10 + day + 50)
        stored.ask("a", FIRST, last, cascade=False)
        proxy.requests.clear()
        stored.work_off("a")
        counts = proxy.counts()
        told.append(" | ".join(str(counts[act]) for act in ("GET", "PUT", "COPY", "LIST")))
    assert f"| one day | {told[0]} |" in PAGE
    assert f"| four days | {told[1]} |" in PAGE


def test_a_look_at_all_tables_asks_for_the_log_of_each_once(stored: Chain, proxy: S3Proxy, tmp_path: Path) -> None:
    load(stored, *"abcd")
    url = stored.settings.warehouse.name
    settings = stored.settings.model_copy(update={"warehouse": tmp_path / "other" / url, "mirrors": tmp_path / "other"})
    overview = Overview(settings)

    def look() -> dict[str, object]:
        # What was asked for is looked at each time.
        stored.ask("d", FIRST)
        proxy.requests.clear()
        summaries = overview.summarize(open_catalog(settings), now=NOW)
        return {name: summary and summary.rows for name, summary in summaries.items()}

    assert look() == dict.fromkeys("abcd", 4)
    assert look() == dict.fromkeys("abcd", 4)
    assert proxy.counts() == {"GET": 4}
    stored.ask("a", "2025-01-05", cascade=False)
    stored.work_off("a")
    assert look() == {**dict.fromkeys("bcd", 4), "a": 5}
    # The commits that it has not read come on top.
    asked = [request.key.rpartition(".log/")[2] for request in proxy.requests]
    assert {"a/2.json", "a/3.json"} <= set(asked)
    assert len(asked) == len(set(asked))
    assert "| all tables, as the Warehouse page looks at them every few seconds | one for each | | | |" in PAGE


@pytest.mark.parametrize("status", [500, 503, 0, -500])
def test_while_the_store_fails_every_other_request_a_reload_is_done(stored: Chain, proxy: S3Proxy, status: int) -> None:
    load(stored, "a")
    stored.deliver("2025-01-02", 100)
    proxy.fault = lambda _: status if len(proxy.requests) % 2 else None
    load(stored, "a")
    proxy.fault = lambda _: None
    assert amounts(stored)[date(2025, 1, 2)] == 100
    assert list(verify(stored.settings)) == []


def test_while_every_other_answer_is_lost_a_table_is_renamed_dropped_and_brought_back(
    stored: Chain, proxy: S3Proxy
) -> None:
    for reader in "bcd":
        shutil.rmtree(stored.settings.tables / reader)
    load(stored, "a")
    before = amounts(stored)
    proxy.fault = lambda _: -500 if len(proxy.requests) % 2 else None
    rename_table(stored.settings, "a", "e")
    drop_table(stored.settings, "e", now=NOW)
    restore_table(stored.settings, "e")
    proxy.fault = lambda _: None
    assert amounts(stored, "e") == before
    assert list(verify(stored.settings)) == []
    assert {key.partition("/")[0] for key in keys(TableFolder(stored.settings.warehouse, "e", "day"), "")} == {
        ".cursors",
        ".log",
        ".view",
        "e",
    }


def test_a_store_that_is_slow_is_waited_for(stored: Chain, proxy: S3Proxy) -> None:
    proxy.pause_seconds = 0.1
    load(stored, "a")
    proxy.pause_seconds = 0
    assert amounts(stored)[date(2025, 1, 2)] == 2
    assert list(verify(stored.settings)) == []


def test_a_store_that_refuses_fails_the_days_which_keep_their_files(stored: Chain, proxy: S3Proxy) -> None:
    load(stored, "a")
    stored.deliver("2025-01-02", 100)
    request = stored.ask("a", FIRST, LAST, cascade=False)
    batches = stored.plan("a")
    proxy.fault = lambda asked: 403 if asked.method == "PUT" else None
    outcomes = stored.rewrite("a", batches)
    proxy.fault = lambda _: None
    [failure] = outcomes[0]["failed"]
    assert "refuses access" in failure["error"]
    assert failure["transient"]
    assert amounts(stored)[date(2025, 1, 2)] == 2
    stored.settle("a", batches, stored.rewrite("a", batches))
    assert stored.find_record(request.id)[0] == "done"
    assert amounts(stored)[date(2025, 1, 2)] == 100


def test_what_a_check_refused_is_kept_in_the_store(stored: Chain) -> None:
    stored.define("a", "select day, amount from raw", "keep_failed = true")
    (stored.settings.tables / "a" / "checks.sql").write_text("create view low as select day from new where amount > 2;")
    request = stored.ask("a", FIRST, LAST, cascade=False)
    stored.work_off("a")
    _, record = stored.find_record(request.id)
    url = f"s3://{BUCKET}/{prefix_of(stored.settings)}"
    assert all(f"its rows are kept in {url}/.failed/a" in failure.error for failure in record.failed)
    place = TableFolder(stored.settings.warehouse, "a", "day")
    assert keys(place, ".failed/a") == [f".failed/a/day=2025-01-0{day}/data.parquet" for day in (3, 4)]
