"""The whole pipeline over an object store: real Airflow, a real S3 server, readers all the while, and faults of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import duckdb
import pyarrow.dataset
import pyarrow.parquet
import pytest
from deltalake import DeltaTable
from obstore.store import S3Store

from reloads.requests.record import Record
from stack.native.folders import Folders
from tests.e2e.native_stack import NativeStackUnderTest, running_stack
from tests.e2e.tables import FILES, GATE, RAW, ROUNDS
from tests.support.clone import CLONE
from tests.support.pipeline import Pipeline
from tests.support.polars_reader import count_by
from tests.support.reader import reading
from tests.support.s3_proxy import Request, S3Proxy, s3_proxy
from tests.support.s3_server import BUCKET, KEY, SECRET, S3Server, s3_server
from tests.support.tables import ROWS_A_DAY, ScenarioTable, write_table

PREFIX = "e2e"
DAYS = 30
RAW_PREFIX = "raw"
SALES = ScenarioTable("from raw_sales", {"on_arrival": True, "arrival_days": 3})
APRIL = {"start_date": "2024-04-01", "end_date": "2024-04-30"}
TABLE = ScenarioTable(ROUNDS, {"snapshots": "delta", "parallelism": 4, "days_per_batch": 10, "mb_per_batch": 0})


@dataclass(frozen=True)
class Stored:
    """A pipeline over a store, which the readers of the tests ask directly and the pipeline by a proxy."""

    pipeline: Pipeline
    proxy: S3Proxy
    server: S3Server

    @property
    def options(self) -> dict[str, str]:
        return {**self.server.environment(), "aws_allow_http": "true"}

    @property
    def client(self) -> S3Store:
        """What lies in the warehouse."""
        return self._client(PREFIX)

    def deliver(self, path: str, text: str) -> None:
        """Write a raw file, or replace it."""
        self._client(RAW_PREFIX).put(path, text.encode())

    def _client(self, prefix: str) -> S3Store:
        return S3Store(
            BUCKET,
            prefix=prefix,
            endpoint=self.server.endpoint,
            access_key_id=KEY,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True},
        )

    def reload(self, number: int) -> None:
        """Ask for all of April with another content, and wait until it is done."""
        self.deliver("gates/whole.csv", f"{number}\n")
        self.pipeline.drop(f"round-{number}.json", table="whole", **APRIL)
        [record] = self.pipeline.wait_for_done(f"round-{number}.json")
        assert len(record.published) == DAYS


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """A stack of its own whose warehouse is in a bucket."""
    folders = Folders(home=tmp_path_factory.mktemp("stored") / "home", clone=CLONE)
    for name in ("tables", "landing"):
        (folders.home / name).mkdir(parents=True)
    (folders.home / "tables" / "sources.sql").write_text(GATE + RAW.format(name="sales"))
    (folders.home / "tables" / "sources.toml").write_text(FILES.format(name="sales"))
    write_table(folders.home / "tables", "whole", TABLE)
    write_table(folders.home / "tables", "sales", SALES)
    with s3_server() as server, s3_proxy(server) as proxy:
        settings = {
            "RELOADS_SOURCE": f"s3://{BUCKET}/{RAW_PREFIX}",
            "RELOADS_RETRIES": "3",
            "RELOADS_RESCAN_SECONDS": "5",
            "RELOADS_DAILY_SCHEDULE": "0 0 29 2 *",
            "RELOADS_WAREHOUSE": f"s3://{BUCKET}/{PREFIX}",
            **server.environment(),
            "AWS_ENDPOINT_URL": proxy.endpoint,
        }
        with running_stack(folders, settings) as running:
            stored = Stored(Pipeline(NativeStackUnderTest(running)), proxy, server)
            stored.deliver("gates/whole.csv", "1\n")
            yield stored


def test_readers_see_whole_runs_and_readable_partitions_during_reloads(stored: Stored) -> None:
    stored.reload(1)
    looks = [
        partial(look, stored=stored) for look in (_look_at_partitions, _look_by_duckdb, _look_by_polars, _look_by_arrow)
    ]
    with reading(*looks) as reader:
        for number in (2, 3, 4):
            stored.reload(number)
    assert reader.looks_taken > 20
    assert reader.oddities == []
    history = DeltaTable(_root(), storage_options=stored.options).history()
    assert [len(commit["reloads.runs"]) for commit in history] == [1, 1, 1, 1]


def test_a_store_that_is_cut_off_in_the_middle_of_a_publication_keeps_what_was_there(stored: Stored) -> None:
    stored.reload(10)
    cut: list[Request] = []

    def cut_off(request: Request) -> int | None:
        # Once the first files of the new content have come it answers nobody, until it was asked a hundred times.
        if (request.method == "PUT" and "/.versions/" in request.key) or cut:
            cut.append(request)
        return 0 if 3 < len(cut) < 100 else None

    stored.proxy.fault = cut_off
    try:
        with reading(partial(_look_at_partitions, stored=stored)) as reader:
            stored.reload(11)
    finally:
        stored.proxy.fault = lambda _: None
    assert len(cut) > 3
    assert reader.oddities == []
    assert _rounds(stored) == {11}


def test_a_raw_file_that_comes_or_changes_in_the_bucket_loads_its_day(stored: Stored) -> None:
    yesterday = datetime.now(UTC).date() - timedelta(days=1)

    def amounts() -> list[int]:
        found: list[int] = []
        for key in [each["path"] for page in stored.client.list("sales") for each in page]:
            table = pyarrow.parquet.read_table(io.BytesIO(bytes(stored.client.get(key).bytes())))
            found += table.column("amount").to_pylist()
        return found

    for amount in (5, 7):
        stored.deliver(f"sales/{yesterday}.csv", f"day,amount\n{yesterday},{amount}\n")
        stored.pipeline.wait_for(f"{amount} in sales", partial(lambda amount: amounts() == [amount], amount))

    def records() -> list[Record]:
        return stored.pipeline.records_of_table("done", "sales")

    stored.pipeline.wait_for("two done requests", lambda: len(records()) == 2)
    assert {(record.mode, str(record.days)) for record in records()} == {("arrival", str(yesterday))}


def _root() -> str:
    return f"s3://{BUCKET}/{PREFIX}/.versions/whole"


def _rounds(stored: Stored) -> set[int]:
    return {number for number, _ in count_by(_root(), "round", options=stored.options)}


def _look_at_partitions(_connection: duckdb.DuckDBPyConnection, *, stored: Stored) -> list[object]:
    """Each partition that a plain reader finds: whole, and of one round."""
    oddities: list[object] = []
    listed = [each["path"] for page in stored.client.list("whole") for each in page]
    for key in listed:
        table = pyarrow.parquet.read_table(io.BytesIO(bytes(stored.client.get(key).bytes())))
        if table.num_rows != ROWS_A_DAY or len(set(table.column("round").to_pylist())) != 1:
            oddities.append(key)
    return oddities if len(listed) == DAYS else [f"{len(listed)} partitions"]


def _look_by_polars(_connection: duckdb.DuckDBPyConnection, *, stored: Stored) -> list[object]:
    return _find_mixed(count_by(_root(), "round", options=stored.options))


def _look_by_arrow(_connection: duckdb.DuckDBPyConnection, *, stored: Stored) -> list[object]:
    rows = _read_all(stored).group_by("round").aggregate([("number", "count")]).to_pylist()
    return _find_mixed([(row["round"], row["number_count"]) for row in rows])


def _look_by_duckdb(connection: duckdb.DuckDBPyConnection, *, stored: Stored) -> list[object]:
    rows = _read_all(stored)
    connection.register("snapshot", rows)
    return _find_mixed(connection.execute("select round, count(*) from snapshot group by round").fetchall())


def _read_all(stored: Stored) -> pyarrow.Table:
    """The rows of the files that one snapshot names."""
    uris = DeltaTable(_root(), storage_options=stored.options).file_uris()
    keys = [uri.removeprefix(f"s3://{BUCKET}/{PREFIX}/") for uri in uris]
    tables = [pyarrow.parquet.read_table(io.BytesIO(bytes(stored.client.get(key).bytes()))) for key in keys]
    return pyarrow.concat_tables(tables)


def _find_mixed(rows: list[tuple[int, int]]) -> list[object]:
    """What is not one round of all days."""
    return [] if len(rows) == 1 and rows[0][1] == DAYS * ROWS_A_DAY else [rows]
