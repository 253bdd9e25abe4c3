"""Sources in an object store: a query reads them by their URL, and the files that it names and no others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import duckdb
import pytest
from obstore.store import S3Store

from reloads.requests.request import parse_request
from reloads.rewriting.store_files import StoreFiles, let_read_stores
from reloads.runs.local_run import run_locally
from reloads.stores.object_store import ObjectStore
from tests.support.chain import NOW, Chain
from tests.support.s3_server import BUCKET, S3Server

ROWS = 200_000


@pytest.fixture
def raw(s3: S3Server, tmp_path: Path) -> str:
    """The URL of a folder with two days in Parquet, one in CSV, and what is none of them."""
    assert s3.endpoint
    prefix = f"raw-{uuid4().hex}"
    client = S3Store(BUCKET, prefix=prefix, client_options={"allow_http": True})
    with duckdb.connect(":memory:") as db:
        for day in (1, 2):
            file = tmp_path / f"{day}.parquet"
            query = (
                f"select date '2025-01-01' + {day - 1} as day, range::int as amount, uuid() as noise from range({ROWS})"
            )
            db.execute(f"copy ({query}) to '{file}' (format parquet, row_group_size 2048)")
            client.put(f"2025/a [b]/{day}.parquet", file)
    client.put("2025/c/3.csv", b"day,amount\n2025-01-03,7\n")
    client.put("2025/c/other.txt", b"x")
    return f"s3://{BUCKET}/{prefix}"


@pytest.fixture
def db(raw: str) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as db:
        let_read_stores(db, f"select * from '{raw}'")
        yield db


def test_a_query_reads_what_a_pattern_names(db: duckdb.DuckDBPyConnection, raw: str) -> None:
    query = "select day(day), count(*), sum(amount) from read_parquet($1) group by day order by day"
    expected = [(1, ROWS, ROWS * (ROWS - 1) // 2), (2, ROWS, ROWS * (ROWS - 1) // 2)]
    for pattern in ("2025/*/*.parquet", "2025/**/*.parquet", "2025/a [[]b]/?.parquet", "**/[12].parquet"):
        assert db.execute(query, [f"{raw}/{pattern}"]).fetchall() == expected
    assert db.execute(query, [f"{raw}/2025/*/2.parquet"]).fetchall() == expected[1:]
    assert db.execute("select amount from read_csv($1)", [f"{raw}/2025/c/3.csv"]).fetchall() == [(7,)]


def test_what_is_not_there_is_told_and_nothing_is_written(db: duckdb.DuckDBPyConnection, raw: str) -> None:
    with pytest.raises(duckdb.IOException, match="No files found"):
        db.execute("from read_parquet($1)", [f"{raw}/nothing/*.parquet"])
    with pytest.raises(Exception, match="sources are only read"):
        db.execute(f"copy (select 1) to '{raw}/new.parquet'")
    assert StoreFiles().glob(f"{raw}/new.parquet") == []


def test_a_column_is_read_without_the_others(
    db: duckdb.DuckDBPyConnection, raw: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: list[int] = []
    real = ObjectStore.read_part

    def read_and_count(store: ObjectStore, key: str, begin: int, count: int) -> bytes:
        counts.append(count)
        return real(store, key, begin, count)

    monkeypatch.setattr(ObjectStore, "read_part", read_and_count)
    db.execute("select sum(amount) from read_parquet($1)", [f"{raw}/2025/*/*.parquet"]).fetchall()
    assert 0 < sum(counts) < sum(file.stat().st_size for file in tmp_path.glob("*.parquet")) / 2


def test_a_statement_without_a_store_registers_nothing() -> None:
    with duckdb.connect(":memory:") as db:
        let_read_stores(db, "create view raw as from read_csv('/tmp/a.csv')")
        assert not {"s3"} & set(db.list_filesystems())


def test_a_table_is_made_from_a_source_in_a_store(chain: Chain, raw: str) -> None:
    view = f"create view raw as select day, amount from read_parquet('{raw}/2025/*/*.parquet')"
    (chain.settings.tables / "sources.sql").write_text(view)
    chain.define("a", "select day, amount from raw")
    request = parse_request({"table": "a", "start_date": "2025-01-01", "end_date": "2025-01-02"})
    run_locally(chain.settings, request, clock=lambda: NOW)
    assert {path.parent.name for path in (chain.settings.warehouse / "a").rglob("*.parquet")} == {
        "day=2025-01-01",
        "day=2025-01-02",
    }


def test_a_bucket_that_is_not_there_fails_the_days_with_a_sentence(chain: Chain) -> None:
    view = "create view raw as select day, amount from read_parquet('s3://nowhere/*.parquet')"
    (chain.settings.tables / "sources.sql").write_text(view)
    chain.define("a", "select day, amount from raw")
    chain.ask("a", "2025-01-01", cascade=False)
    [outcome] = chain.rewrite("a", chain.plan("a"))
    [failure] = outcome["failed"]
    assert "s3://nowhere" in failure["error"]
    assert "\n" not in failure["error"]
